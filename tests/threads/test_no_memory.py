"""Out of memory in the middle of an import: the program meets it as without us, and the trace stays true."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from capture_support import environment, installing, run

HERE = Path(__file__).parent
MODES = ("auto", "finder")  # `auto` places what `probes` places
WIDTHS = (1, 3, 10_000)  # starving.py's
ALLOCATIONS = 400  # an import of `outer` and what is below it takes about as many
PROGRAM = """
import sys; sys.path.insert(0, {here!r})
{start}
import starving; starving.main(session)
"""


def starve(mode: str | None, numbers: list[int]) -> list[dict[str, Any]]:
    """What became of each try (starving.py)."""
    start = installing(mode, stall_seconds=0)
    program = PROGRAM.format(here=str(HERE), start=start)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, numbers)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(mode: str, numbers: list[int]) -> None:
    wrong, unlucky = [], 0
    tries = starve(mode, numbers)
    for one in tries:
        if "died" in one:
            # CPython's compile() and others crash by themselves, some of them only later; what is
            # not allowed is a crash inside of a call of ours
            fine = one["died"] == 11 and ("importtrace" not in one["stack"] or "later" in one)
        elif one["held"] and one["width"] == max(WIDTHS):
            # There was no memory even for the frame of `release`, ours or importlib's. Without us the
            # lock is thrown away then; with us the open load keeps it.
            unlucky += 1
            continue
        else:
            fine = not one["held"] and len(one["said"]) <= 1
            fine = fine and one["outcome"] in (
                *("outer imported", "MemoryError"),
                *("SystemError", "RuntimeError"),  # CPython says so where it forgot to look, too
            )
            if one["stopped"] is None:
                fine = fine and one["last"] == [["last", None, "ok"], ["below", "last", "ok"]]
        if not fine:
            wrong.append(one)
    outcomes = {one.get("outcome") for one in tries}
    assert "MemoryError" in outcomes, f"no memory was refused: {outcomes}"
    assert unlucky <= max(3, len(tries) // 100)
    assert not wrong, f"{len(wrong)} of {len(tries)}; first: " + json.dumps(wrong[:5], indent=1)


@pytest.mark.parametrize("mode", MODES)
def test_a_sample_of_refused_allocations(mode):
    """No lock stays taken, later loads have their own parents, no crash with a frame of ours."""
    pytest.importorskip("_testcapi", reason="this build has no _testcapi")
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    check(mode, random.Random(seed).sample(range(ALLOCATIONS), 15))


@pytest.mark.stress
@pytest.mark.parametrize("mode", MODES)
def test_each_allocation_refused_in_turn(mode):
    """The same for each allocation, one by one."""
    pytest.importorskip("_testcapi", reason="this build has no _testcapi")
    check(mode, list(range(ALLOCATIONS)))


FILES = {
    "outer.py": "import bad\n",
    "bad.py": "import below\nraise MemoryError('none left')\n",
    "huge.py": "bytearray(1 << 62)\n",
    "eats.py": """
        import below
        kept = []
        while True:
            kept.append(bytearray(200_000))
        """,
    "below.py": "",
    "last.py": "import below_last\n",
    "below_last.py": "",
}
RAISED = """
import traceback
for name in ("outer", "huge"):
    try: __import__(name)
    except MemoryError as error:
        frames = traceback.extract_tb(error.__traceback__)
        print(name, error.args, [f.name + ":" + str(f.lineno) for f in frames])
import last
"""
LIMITED = """
import resource
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
def attempt(name):
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), -1))
    try: __import__(name)
    except MemoryError as error:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        print(name, error.args, error.__context__, getattr(error, "__notes__", None))
    finally: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
attempt("eats")
attempt("eats")
import last
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_body_that_raises_it(mode, tmp_path):
    """By hand, and because nothing so big is to be had: equal to untraced; each load has its failure."""
    plain = run(tmp_path / "a", RAISED, mode=None, files=FILES).ok()
    traced = run(tmp_path / "b", RAISED, mode=mode, files=FILES).ok()
    assert traced.out == plain.out
    assert traced.err == plain.err == ""
    for name in ("outer", "bad", "huge"):
        assert traced.load(name)["outcome"] == "failed"
        assert traced.load(name)["error"]["type"] == "MemoryError"
    assert traced.parent(traced.load("bad")) == "outer"
    assert traced.parent(traced.load("last")) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, sets RLIMIT_AS")
@pytest.mark.parametrize("mode", MODES)
def test_a_body_that_takes_all_there_is(mode, tmp_path):
    """Under RLIMIT_AS, when memory is really gone: as without us, twice; what follows is recorded."""
    plain = run(tmp_path / "a", LIMITED, mode=None, files=FILES).ok()
    traced = run(tmp_path / "b", LIMITED, mode=mode, files=FILES, stall_seconds=0).ok()
    assert traced.out == plain.out
    assert traced.err == plain.err == ""
    assert [one["outcome"] for one in traced.loads("eats")] == ["failed", "failed"]
    assert traced.parent(traced.load("last")) is None
    assert traced.parent(traced.load("below_last")) == "last"
