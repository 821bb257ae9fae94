"""A start-up in which three threads meet, as records: hand-made, so that every figure is known."""

from __future__ import annotations

from typing import Any

from importtrace.records import Importer, ImportRecord, ThreadRef, Trace

MS = 1_000_000
ONE, TWO, THREE = (ThreadRef(100 + n, f"warm-up-{n}", n + 1) for n in (1, 2, 3))
HELD = {"thread": {"id": 101, "name": "warm-up-1"}, "module": "shop.errors"}
HEADER: dict[str, Any] = {
    "type": "trace",
    "schema": 1,
    "python": "3.12.1",
    "implementation": "CPython",
    "platform": "linux",
    "pid": 4242,
    "parent_pid": 1,
    "argv0": "service.py",
    "start": 1_700_000_000_000_000_000,
    "mode": "auto",
    "observed": [],
    "not_observed": [],
    "versions": {"click": "8.1"},
    "threads": [],
    "dropped": 0,
    "end": "exit",
}
CAUSE = {
    "kind": "thread_race",
    "module": "shop.agent",
    "name": "AgentError",
    "summary": "'AgentError' was not yet bound: warm-up-2 was still building shop.agent",
    "message": "cannot import name 'AgentError'",
    "chain": [],
    "fingerprint": "f" * 16,
}
ERROR = {"type": "ImportError", "message": "cannot import name 'AgentError'"}


def record(
    id: int, module: str, thread: ThreadRef, start_ms: float, ms: float | None, **more: Any
) -> ImportRecord:
    """A load that went well, unless ``more`` says otherwise."""
    values: dict[str, Any] = {
        "kind": "load",
        "id": id,
        "module": module,
        "outcome": "ok",
        "thread": thread,
        "start_ns": round(start_ms * MS),
        "duration_ns": None if ms is None else round(ms * MS),
    }
    return ImportRecord(**(values | more))


def race(**header: Any) -> Trace:
    """Five loads, two of them failed with one exception; a wait and a half-built hand-out."""
    failed = {"outcome": "failed", "handled": False, "error": ERROR}
    return Trace(
        header=HEADER | header,
        records=(
            record(1, "click", ONE, 0, 8, origin="/x/site-packages/click/__init__.py"),
            record(2, "shop", ONE, 10, 40, importer=Importer(module="__main__"), **failed),
            record(3, "shop.errors", ONE, 12, 36, parent=2, cause=CAUSE, **failed),
            record(4, "shop.agent", TWO, 14, 37),
            record(
                5,
                "shop.errors",
                TWO,
                15,
                33,
                kind="request",
                outcome="partial",
                parent=4,
                of=3,
                wait_ns=33 * MS,
                held_by=HELD,
            ),
            record(
                6,
                "shop",
                THREE,
                16,
                34,
                kind="request",
                outcome="waited",
                of=2,
                wait_ns=34 * MS,
                held_by=HELD,
            ),
            record(
                7,
                "fast_json",
                THREE,
                51,
                1,
                outcome="failed",
                handled=True,
                error={"type": "ModuleNotFoundError", "message": "No module named 'fast_json'"},
                cause={"kind": "not_found", "summary": "there is no module fast_json"},
            ),
        ),
    )
