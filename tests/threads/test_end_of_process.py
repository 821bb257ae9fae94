"""The interpreter ends while daemon threads import: as without us, and the trace says what was open."""

from __future__ import annotations

import pytest
from capture_support import installing, run

MODES = ("auto", "finder")  # `auto` places what `probes` places

FILES = {
    "gates.py": """
        import threading
        in_body, blocked, never = (threading.Event() for _ in range(3))
        """,
    "stays.py": "import below\nimport gates\ngates.in_body.set()\ngates.never.wait()\n",
    "below.py": "",
    "last.py": "",
    **{f"spin{number}.py": f"import below{number}\n" for number in range(4)},
    **{f"below{number}.py": "" for number in range(4)},
}
WAITING = """
import _frozen_importlib, sys, threading, gates
def waits():
    gates.in_body.wait(20)
    import stays
threading.Thread(target=__import__, args=("stays",), name="stays", daemon=True).start()
threading.Thread(target=waits, name="waits", daemon=True).start()
assert gates.in_body.wait(20)
table = _frozen_importlib._blocking_on
while not len(getattr(table, "data", table)):  # nobody can be told that a thread waits
    pass
import last
END
"""
SPINNING = """
import sys, threading, gates
def spins(number):
    while True:
        for name in (f"spin{number}", f"below{number}", "nowhere"):
            sys.modules.pop(name, None)
            try: __import__(name)
            except ImportError: pass
        going[number].set()
going = [threading.Event() for _ in range(4)]
sys.setswitchinterval(1e-5)
for number in range(4): threading.Thread(target=spins, args=(number,), daemon=True).start()
assert all(one.wait(20) for one in going)
import last
END
"""
ENDS = {
    "last line": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "uncaught": ("raise KeyError('the end')", 1),
    "os._exit": ("import os; os._exit(4)", 4),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_body_and_a_wait_in_daemon_threads(mode, end, tmp_path):
    """One stands in a body, one waits for it: exit code, stdout and stderr as without us. The trace has
    the load without an end, and a request that was never answered."""
    text, code = ENDS[end]
    program = WAITING.replace("END", text)
    plain = run(tmp_path / "a", program, mode=None, files=FILES)
    traced = run(tmp_path / "b", program, mode=mode, files=FILES)
    assert plain.code == traced.code == code
    assert traced.out == plain.out
    assert traced.err.replace(str(tmp_path / "b"), "") == plain.err.replace(str(tmp_path / "a"), "")
    if end == "os._exit":
        return  # nothing is run any more, so nothing is written (a spool would have it)
    assert "stopped" not in traced.header
    assert "outcome" not in traced.load("stays")
    assert traced.load("stays")["thread"]["name"] == "stays"
    assert traced.parent(traced.load("below")) == "stays"
    assert traced.load("last")["outcome"] == "ok"
    assert traced.parent(traced.load("last")) is None


@pytest.mark.parametrize("end", ["last line", "sys.exit", "uncaught"])
@pytest.mark.parametrize("mode", MODES)
def test_daemon_threads_that_import_all_the_time(mode, end, tmp_path):
    """They are in the middle of loads and failures while the exit delivers, and the trace is whole.

    What CPython does after its exit handlers is left out, by a handler that runs last: without us, too,
    3.11.7 crashes or hangs in it one time in three when threads import all the while.
    """
    text, code = ENDS[end]
    start = installing(mode, tmp_path / "b" / "trace.jsonl", max_records=200_000)
    last = f"import atexit, os; atexit.register(os._exit, {code})  # registered first"
    program = f"{last}\n{start}\n{SPINNING.replace('END', text)}"
    traced = run(tmp_path / "b", program, mode=None, files=FILES)
    assert traced.code == code, traced.err[-2000:]
    assert traced.out == ""
    lines = traced.err.splitlines()
    assert lines[-1:] == (["KeyError: 'the end'"] if end == "uncaught" else []), traced.err[-2000:]
    assert "importtrace" not in traced.err
    assert "stopped" not in traced.header
    for number in range(4):
        loads = traced.loads(f"below{number}")
        assert loads
        for load in loads:
            assert traced.parent(load) in (None, f"spin{number}")
            importer = load["importer"]["module"]
            assert importer == (traced.parent(load) or "__main__")
    assert traced.parent(traced.load("last")) is None
