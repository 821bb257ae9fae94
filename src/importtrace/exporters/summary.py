"""What the log and the root span both say about a start-up: counts and sums, out of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from importtrace.analysis.failed import failures, unhandled

if TYPE_CHECKING:
    from importtrace.records import ImportRecord, Trace

SLOWEST = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """``total_ns`` is from the trace's start to the ready mark, or to the last thing recorded.

    ``import_ns`` is the sum of self times over all threads, so it may exceed ``total_ns``.
    """

    modules: int
    total_ns: int
    import_ns: int
    slowest: tuple[ImportRecord, ...]
    threads: int
    compiled: int
    waits: int
    wait_ns: int
    partial: int
    handled: int
    unhandled: int
    dropped: int
    ready_by: str | None


def summarize(trace: Trace) -> Summary:
    """The start-up's figures; modules loaded later than the ready mark are not part of it."""
    ready = trace.header.get("ready_ns")
    records = [r for r in trace.records if ready is None or r.start_ns <= ready]
    loads = [record for record in records if record.kind == "load"]
    waits = [record.wait_ns for record in records if record.wait_ns]
    failed = failures(records)
    threads = {r.thread.serial if r.thread.serial is not None else r.thread for r in records}
    return Summary(
        modules=len(loads),
        total_ns=end_ns(trace),
        import_ns=sum(record.self_ns or 0 for record in loads),
        slowest=tuple(sorted(loads, key=lambda r: r.self_ns or 0, reverse=True)[:SLOWEST]),
        threads=len(threads),
        compiled=sum(record.bytecode == "compiled" for record in loads),
        waits=len(waits),
        wait_ns=sum(waits),
        partial=sum(record.outcome == "partial" for record in records),
        handled=sum(record.handled is True for record in failed),
        # and those of statements that no record stands for
        unhandled=sum(map(unhandled, failed)) + len(trace.header.get("failures") or ()),
        dropped=int(trace.header.get("dropped") or 0),
        ready_by=trace.header.get("ready_by"),
    )


def end_ns(trace: Trace) -> int:
    """Where the start-up ended, in nanoseconds from the trace's start."""
    ready = trace.header.get("ready_ns")
    if ready is not None:
        return int(ready)
    return max((r.start_ns + (r.duration_ns or 0) for r in trace.records), default=0)
