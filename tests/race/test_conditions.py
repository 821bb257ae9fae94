"""`importtrace reproduce` with conditions: which of them makes the imports fail?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from race_support import write

from importtrace.race.conditions_matrix import Cell, Condition, Failure, differences

COLD, SLOW, HIDE = Condition("cold"), Condition("slow-fs=5"), Condition("hide=x")


def cell(*conditions, **failures):
    return Cell(
        conditions,
        [Failure(kind, "import app", "error", message) for kind, message in failures.items()],
    )


def told(*cells):
    return [one.text for one in differences(cells)]


def test_failure_of_one_condition_is_told_as_its_own():
    """Alone and in all together; nowhere without."""
    cells = [cell(), cell(COLD), cell(HIDE, order="no x"), cell(COLD, HIDE, order="no x")]
    assert told(*cells) == ["fails only with hide=x"]


def test_failure_that_needs_two_conditions_is_told_of_both():
    """Neither alone."""
    cells = [cell(), cell(COLD), cell(HIDE), cell(COLD, HIDE, order="no x")]
    assert told(*cells) == ["fails only with cold and hide=x"]


def test_condition_that_makes_it_go_away_is_told():
    """As it is, it fails."""
    cells = [cell(order="bad"), cell(COLD, order="bad"), cell(HIDE), cell(COLD, HIDE)]
    assert told(*cells) == ["fails, but not with hide=x"]


def test_failure_everywhere_is_no_matter_of_conditions():
    """And two failures are two differences."""
    cells = [
        cell(order="bad"),
        cell(COLD, order="bad"),
        cell(HIDE, order="bad", threads="no x"),
        cell(COLD, HIDE, order="bad", threads="no x"),
    ]
    assert told(*cells) == ["fails with and without them", "fails only with hide=x"]


def test_cell_that_could_not_be_run_says_nothing():
    """Neither for nor against."""
    refused = cell(COLD)
    refused.cannot = "no"
    assert told(cell(), refused, cell(HIDE, order="a")) == ["fails only with hide=x"]


def test_workers_are_compared_with_workers():
    """What only several processes do is not missing where there was one."""
    fork = Condition("workers=2 fork", workers=(2, "fork"))
    spawn = Condition("workers=2 spawn", workers=(2, "spawn"))
    cells = [cell(), cell(COLD), cell(fork, workers="taken"), cell(spawn)]
    assert told(*cells) == ["fails only with workers=2 fork"]


# the command -----------------------------------------------------------------------------------


def reproduce(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "importtrace", "reproduce", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


@pytest.fixture
def shop(tmp_path):
    """Fails in one order if the optional `fastjson` is not there and SHOP_MODE is strict."""
    return write(
        tmp_path / "code",
        {
            "fastjson.py": "def dumps(value): pass\n",
            "shop/__init__.py": """
                try:
                    from fastjson import dumps
                except ImportError:
                    from shop.fallback import dumps
                """,
            "shop/fallback.py": """
                import os
                if os.environ.get("SHOP_MODE") == "strict":
                    from shop import cart
                def dumps(value): pass
                """,
            "shop/cart.py": "from shop import dumps\n",
        },
    )


def test_matrix_names_the_conditions_that_it_takes(shop):
    """Each alone, all together; a harmless one is not blamed."""
    done = reproduce(
        "shop", "--path", shop, "--hide", "fastjson", "--env", "SHOP_MODE=strict", "--cold",
        "--strategy", "orders", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    cells = {tuple(one["conditions"]): one["outcome"] for one in found["cells"]}
    assert cells[()] == cells[("cold",)] == cells[("hide=fastjson",)] == "ok"
    assert cells[("cold", "env SHOP_MODE=strict", "hide=fastjson")] == "import_error"
    assert any(
        set(one["only_with"]) == {"env SHOP_MODE=strict", "hide=fastjson"}
        for one in found["differences"]
    )


def test_text_says_the_difference_in_one_line(shop):
    """As somebody reads it at 3 a.m."""
    write(Path(shop), {"till.py": "import fastjson\n"})
    done = reproduce("till", "--path", shop, "--hide", "fastjson", "--strategy", "orders")
    assert done.returncode == 1, done.stderr
    assert "fails only with hide=fastjson" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "/" not in line) <= 80


def test_no_failure_is_exit_code_0(tmp_path):
    """Every condition at once, on what minds none of them."""
    folder = write(tmp_path, {"calm.py": ""})
    done = reproduce(
        "calm", "--path", folder, "--cold", "--slow-fs", "1:1", "--cpu", "1", "--memory", "2G",
        "--read-only", "--env", "A=b", "--without", "HOME", "--path-order", "--hide", "nothing",
        "--workers", "2", "--strategy", "orders",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "no failure in 14 environments" in done.stdout


def test_what_workers_do_to_each_other(tmp_path):
    """A lock file that only one of them gets; one process has no trouble."""
    folder = write(
        tmp_path,
        {
            "single.py": """
                import os, time
                file = os.path.join(os.path.dirname(__file__), "single.lock")
                os.close(os.open(file, os.O_CREAT | os.O_EXCL))
                end = time.monotonic() + 1
                while time.monotonic() < end: time.sleep(0.01)
                os.unlink(file)
                """
        },
    )
    done = reproduce(
        "single", "--path", folder, "--workers", "2", "--threads", "1", "--strategy", "orders",
        "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    cells = {tuple(one["conditions"]): one["outcome"] for one in found["cells"]}
    assert done.returncode == 1
    assert cells == {
        (): "ok",
        ("workers=2 fork",): "error",
        ("workers=2 preload",): "ok",
        ("workers=2 spawn",): "error",
    }


def test_workers_import_what_no_statement_can_name(tmp_path):
    """A module whose name is no identifier works in the workers as it does in the search."""
    folder = write(tmp_path, {"calm/__init__.py": "", "calm/my-part.py": ""})
    done = reproduce(
        "calm", "--entry", "calm.my-part", "--path", folder, "--workers", "2", "--strategy", "orders",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "no failure in 4 environments" in done.stdout


def test_condition_that_cannot_be_had_is_said(tmp_path):
    """The others are run all the same."""
    folder = write(tmp_path, {"calm.py": ""})
    done = reproduce("calm", "--path", folder, "--hide", "sys", "--cold", "--strategy", "orders")
    assert done.returncode == 0
    assert "'sys' cannot be hidden" in done.stdout
    assert "cold" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--slow-fs", "fast"],
        ["--slow-fs", "0"],
        ["--slow-fs", "-1"],
        ["--cpu", "0"],
        ["--cpu", "half"],
        ["--memory", "much"],
        ["--memory", "1K"],
        ["--env", "NAME"],
        ["--env", "=x"],
        ["--without", "A=b"],
        ["--hide", "a..b"],
        ["--workers", "0"],
        ["--cold", "--schedule", "v1:json"],
        ["--cold", "--path", "/nowhere"],
        ["--cold", "--entry", "nowhere_to_be_found"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, tmp_path):
    """No traceback."""
    done = reproduce("json", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
