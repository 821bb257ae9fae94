"""Hand-made traces in the contract's format, for the exporters' tests."""

from __future__ import annotations

from typing import Any

from importtrace.records import Importer, ImportRecord, ThreadRef, Trace

START = 1_700_000_000_000_000_000
MAIN = ThreadRef(id=101, name="MainThread", serial=0)
OTHER = ThreadRef(id=202, name="warm-up", serial=1)
MS = 1_000_000


def header(**changes: Any) -> dict[str, Any]:
    """A header as capture writes it."""
    return {
        "type": "trace",
        "schema": 1,
        "python": "3.11.7",
        "implementation": "CPython",
        "platform": "linux",
        "pid": 4711,
        "parent_pid": 1,
        "argv0": "/home/ada/app.py",
        "start": START,
        "mode": "probes",
        "observed": ["loads"],
        "not_observed": [],
        "versions": {},
        "threads": [MAIN.to_dict(), OTHER.to_dict()],
        "dropped": 0,
        "end": "exit",
    } | changes


def load(id: int, module: str, **changes: Any) -> ImportRecord:
    """A load of one millisecond that began ``id`` milliseconds after the trace."""
    values: dict[str, Any] = {
        "kind": "load",
        "outcome": "ok",
        "thread": MAIN,
        "start_ns": id * MS,
        "duration_ns": MS,
        "self_ns": MS,
        "importer": Importer("/home/ada/app.py", 3, "__main__", f"import {module}"),
        "origin": f"/home/ada/{module}.py",
        "bytecode": "hit",
    }
    return ImportRecord(id=id, module=module, **(values | changes))


def request(id: int, module: str, of: int, **changes: Any) -> ImportRecord:
    """A request for what load ``of`` is building."""
    values: dict[str, Any] = {"kind": "request", "of": of, "thread": OTHER, "self_ns": None}
    return load(id, module, **(values | {"origin": None, "bytecode": None} | changes))


def cause(**changes: Any) -> dict[str, Any]:
    """A circular import, as ``explain(exc).to_dict()`` gives it."""
    return {
        "kind": "circular",
        "module": "a",
        "name": "x",
        "summary": "'x' is not there yet: a is still being initialised",
        "message": "cannot import name 'x' from 'a' (/home/ada/a.py)",
        "chain": [{"module": "a", "file": "/home/ada/a.py", "line": 1, "statement": "import b"}],
        "root": {"module": "a", "thread": {"id": 101, "name": "MainThread"}, "type": "ImportError"},
        "fingerprint": "f00d",
        "hint": "bind x first",
    } | changes


def failed(id: int, module: str, **changes: Any) -> ImportRecord:
    """A load that failed with ``cause()``, not handled."""
    message = "cannot import name 'x' from 'a' (/home/ada/a.py)"
    values: dict[str, Any] = {
        "outcome": "failed",
        "error": {"type": "ImportError", "message": message},
        "handled": False,
        "cause": cause(),
    }
    return load(id, module, **(values | changes))


def trace(*records: ImportRecord, **header_changes: Any) -> Trace:
    """The records under a header."""
    return Trace(header=header(**header_changes), records=records)
