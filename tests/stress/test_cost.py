"""What an import costs does not grow, and memory stays in its bound. Counted, never timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from capture_support import run

PROGRAM = Path(__file__).parent / "cost_program.py"


@pytest.mark.parametrize("mode", ["auto", "finder"])
@pytest.mark.parametrize("what", ["imports", "threads", "finders"])
def test_the_cost_of_an_import_stays(what, mode, tmp_path):
    """As many instructions of ours after 1,000 more imports, beside forty threads
    that have imported, behind two hundred finders."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), mode, str(tmp_path), what],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert min(told["before"]) > 20, "nothing of ours was counted"
    assert max(told["after"]) <= max(told["before"]), told


LOOPS = {
    "load": "import fine; del sys.modules['fine']",
    "cycle": "import here; del sys.modules['here'], sys.modules['there']",
    "bad": "try: import bad\n    except ZeroDivisionError: pass",
    "missing": "try: import nowhere\n    except ImportError: pass",
    "thread": "t = threading.Thread(target=__import__, args=('fine',)); t.start(); t.join()\n"
    "    sys.modules.pop('fine', None)",
}


@pytest.mark.parametrize("mode", ["auto", "finder"])
@pytest.mark.parametrize("what", LOOPS)
def test_memory_stays_in_its_bound(what, mode, tmp_path):
    """Loads that live on after the log is full, counted as objects: no more after 300 turns than after
    150, and what did not fit is counted as dropped."""
    program = """
    import gc, sys, threading
    from importtrace import _failures, _recorder
    assert _failures.Caught  # loaded at its first touch
    _failures._MOST_FAILURES = 50  # their bound is a constant; thousands take too long here
    def alive():
        gc.collect()
        return sum(type(o) in (_recorder.Load, _recorder.Request) for o in held())
    def held():
        recorder, seen, todo = session._recorder, {}, []
        todo += recorder.log, recorder.requests, recorder.failures, recorder.troubled
        todo += recorder.open, recorder.starting, list(recorder.threads.values())
        while todo:
            for one in gc.get_referents(todo.pop()):
                if id(one) in seen or isinstance(one, (type, type(gc), type(alive), type(alive.__code__))):
                    continue
                seen[id(one)] = one
                todo.append(one)
        return seen.values()
    def turn():
        LOOP
    for _ in range(150): turn()
    first = alive()
    for _ in range(150): turn()
    print(first, alive(), session.trace().header["dropped"])
    """
    loop = LOOPS[what].replace("\n", "\n    ")
    files = {
        "fine.py": "",
        "bad.py": "1 / 0\n",
        "here.py": "import there\n",
        "there.py": "import here\n",
    }
    result = run(
        tmp_path,
        program.replace("LOOP", loop),
        mode=mode,
        files=files,
        max_records=100,
        stall_seconds=0,
    )
    first, last, dropped = map(int, result.ok().out.split())
    assert last <= first + 2, (first, last)
    if not (
        mode == "finder" and what == "missing"
    ):  # a search that finds nothing leaves no mark there
        assert dropped > 0
