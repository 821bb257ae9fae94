"""Delivers a hand-made trace from a fresh interpreter, as a traced process would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporters_support import MAIN, MS, START
from ship_support import python

from importtrace import tracefile
from importtrace.records import ImportRecord, Trace

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

READY = """
exporters.deliver(trace, config, at_exit=False)
print("ready", flush=True)
exporters.deliver(trace, config, at_exit=True)
"""
# The program ends while its start-up is delivered: from 3.12 on, no thread can be started any more.
ENDING = """
import threading
def refuse(self):
    raise RuntimeError("can't create new thread at interpreter shutdown")
threading.Thread.start = refuse
""" + READY.replace('print("ready", flush=True)', "")
EXIT = "import atexit; atexit.register(exporters.deliver, trace, config, at_exit=True)\n"
PRELUDE = """
import os, sys
from importtrace import exporters, tracefile
from importtrace.config import resolve
trace = tracefile.read(sys.argv[1])
config = resolve({}, os.environ)
"""


def make(*records: ImportRecord, **header: Any) -> Trace:
    """A trace of process 4711."""
    base = {"type": "trace", "schema": 1, "pid": 4711, "start": START, "python": "3.11.7"}
    base |= {"implementation": "CPython", "dropped": 0, "end": "ready"}
    return Trace(header=base | header, records=records)


def record(kind: str, id: int, module: str, **values: Any) -> ImportRecord:
    """A record of one millisecond, ``id`` milliseconds after the start."""
    base: dict[str, Any] = {"outcome": "ok", "thread": MAIN, "start_ns": id * MS}
    base |= {"duration_ns": MS, "self_ns": MS}
    return ImportRecord(id=id, module=module, **({"kind": kind} | base | values))


def start(
    folder: Path, trace: Trace, code: str, prelude: str = PRELUDE, **environ: str
) -> subprocess.Popen[str]:
    """A process that runs ``code`` with ``trace`` and ``config``; its environment is only ours."""
    given = folder / "given.jsonl"
    tracefile.write(trace, str(given))
    environ = {"IMPORTTRACE_LOG": "off"} | environ
    return python("-B", "-c", prelude + code, given, environ=environ, cwd=folder)
