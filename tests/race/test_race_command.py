"""`importtrace reproduce` as its user sees it: exit codes, text, files, Ctrl-C."""

import ast
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from race_support import CYCLE, PARENTS_FIRST, WITHOUT_CYCLE, write

from importtrace import cli
from importtrace.race import testfile
from importtrace.race.errors import InputError
from importtrace.race.outcome import Result
from importtrace.race.proof import Proof
from importtrace.race.schedule import Schedule


def reproduce(*arguments, cwd=None, **options):
    options.setdefault("timeout", 120)
    return subprocess.run(
        [sys.executable, "-m", "importtrace", "reproduce", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        **options,
    )


@pytest.fixture
def buggy(tmp_path):
    """A package with an order failure that every release has, and so a race."""
    return write(
        tmp_path / "code",
        {
            "shop/__init__.py": "",
            "shop/orders.py": "from .customers import Customer\nclass Order: pass\n",
            "shop/customers.py": "class Customer: pass\nfrom . import orders\norders.Order\n",
        },
    )


def test_failure_is_exit_code_1_with_place_cause_and_what_next(buggy):
    """Everything that is needed to mend it, on stdout."""
    done = reproduce("shop", "--path", buggy, "--strategy", "orders")
    assert (done.returncode, done.stderr) == (1, "")
    assert "shop.orders" in done.stdout
    assert "works" in done.stdout
    assert "customers.py" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "/" not in line) <= 80


def test_no_failure_is_exit_code_0_with_numbers(tmp_path):
    """What was covered, never "safe"."""
    done = reproduce("ring", "--path", write(tmp_path, WITHOUT_CYCLE))
    assert (done.returncode, done.stderr) == (0, "")
    assert "no failure" in done.stdout
    assert "switches" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere_to_be_found"], "no module named"),
        (["json", "--entry", "nowhere_to_be_found"], "no module named"),
        (["json", "--entry", "a..b"], "no module name"),
        (["json", "--path", "/nowhere"], "no folder"),
        (["json", "--python", "/nowhere/python"], "/nowhere/python"),
        (["json", "--threads", "0"], "--threads"),
        (["json", "--time-limit", "-1"], "--time-limit"),
        ([], "name a package"),
        (["--schedule", "nonsense"], "no schedule"),
        (["--schedule", "v1:nowhere_to_be_found"], "no module named"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said):
    """What, which, why, what next; no traceback."""
    done = reproduce(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files_that_are_written_fail_now_and_pass_once_mended(tmp_path):
    """A schedule to paste, and a test to keep, with pytest and importtrace alone."""
    folder = tmp_path / "code"
    write(folder, CYCLE)
    out = tmp_path / "out"
    done = reproduce(
        "ring", "--entry", "ring", "--entry", "ring.right", "--path", folder, "-o", out
    )
    if PARENTS_FIRST:
        pytest.skip("this release has no such race (3.15)")
    assert done.returncode == 1, done.stderr
    (schedule,) = out.glob("*.schedule")
    (test,) = out.glob("test_*.py")
    replayed = reproduce("--schedule", schedule, "--path", folder, "--json")
    assert replayed.returncode == 1
    assert json.loads(replayed.stdout)["interleavings"][0]["replayed"] == "20/20"
    check = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    assert subprocess.run(check, capture_output=True, cwd=tmp_path).returncode == 1
    write(folder, WITHOUT_CYCLE)
    mended = subprocess.run(check, capture_output=True, cwd=tmp_path, text=True)
    assert mended.returncode == 0, mended.stdout


def test_json_holds_every_order_and_each_race(buggy):
    """For other programs."""
    done = reproduce("shop", "--path", buggy, "--json", "--seed", "3")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["seed"] == 3
    assert {tuple(row["entries"]): row["outcome"] for row in found["orders"]} == {
        ("shop",): "ok",
        ("shop.customers",): "ok",
        ("shop.orders",): "error",
    } or found["orders"]


def test_current_folder_is_looked_in(buggy):
    """As `python -m` would."""
    assert reproduce("shop", "--strategy", "orders", cwd=buggy).returncode == 1


def test_ctrl_c_gives_what_was_found_by_then(tmp_path):
    """Partial results, exit code 130, and no process is left."""
    files = {f"kit/m{n}.py": "import time\ntime.sleep(600)\n" for n in range(40)}
    folder = write(tmp_path, {"kit/__init__.py": "", "kit/fine.py": "", **files})
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "importtrace",
            "reproduce",
            "kit",
            "--path",
            folder,
            "--run-limit",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(4)  # there is nothing to see from outside; it needs a minute without Ctrl-C
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in out
    assert "of 42 orders" in out


def test_folder_that_cannot_be_written_to_is_said_before_the_search(buggy, tmp_path):
    """Nobody waits for a search whose result has no place."""
    (tmp_path / "file").write_text("")
    done = reproduce("shop", "--path", buggy, "-o", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_folder_that_fills_up_later_does_not_cost_the_report(tmp_path, monkeypatch, capsys):
    """What was found is printed; then the one line, and exit code 2."""
    folder = write(tmp_path / "code", CYCLE)

    def full(*arguments):
        raise InputError("cannot write to 'out': No space left on device")

    monkeypatch.setattr(testfile, "write", full)
    arguments = ["reproduce", "ring", "--entry", "ring", "--entry", "ring.right"]
    status = cli.main([*arguments, "--path", folder, "-o", str(tmp_path / "out")])
    told = capsys.readouterr()
    if PARENTS_FIRST:
        pytest.skip("this release has no such race (3.15)")
    assert status == 2
    assert "Race 1" in told.out
    assert "No space left" in told.err


@pytest.mark.parametrize(
    "message",
    ["x" * 560 + "\\" * 40, "x" * 560 + ' "' * 20 + "end", 'ends with "quotes"', '"""', 'a "b" c'],
    ids=["cut in backslashes", "cut in quotes", "quote last", "three quotes", "quotes inside"],
)
def test_written_test_is_python_whatever_the_error_says(message):
    """Backslashes and quotes of an error message, also where it is cut, do not break the docstring."""
    schedule = Schedule.parse("v1:pkg,pkg.mod:1@acquire/pkg.mod=2")
    for shift in range(3):
        result = Result("error", "y" * shift + message)
        proof = Proof(schedule, result, 20, 20, True, None)
        tree = ast.parse(testfile.test_text(proof, "it", "3.13", ("src",), "tests"))
        [test] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert message[:40].replace('"""', "'''") in ast.get_docstring(test)
