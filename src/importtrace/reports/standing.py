"""Where each thread stood: in a trace of a process that still runs, or was killed, as text.

MainThread: in the body of shop.payment, since 1,204.1 ms after the start
  file /srv/app/shop/payment.py
  shop.cart
    asked for by /srv/app/main.py line 3: from shop import cart
  shop.payment
    asked for by /srv/app/shop/cart.py line 1: import shop.payment
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.reports.terminal import BOLD, WIDTH, YELLOW, Paint, fit, plain, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import ImportRecord, Trace

MOST_THREADS = 50
MOST_LINKS = 40

ENDS = {
    "died": "the process ended without a word: it was killed, crashed, or left by os._exit",
    "running": "the process still runs",
    "unknown": "it has not said that it ended; whether it lives cannot be seen from here",
}


def standing(trace: Trace) -> list[list[ImportRecord]]:
    """For each thread with an unfinished import, the records it was inside of, outermost first."""
    ids = trace.header.get("open")
    if not isinstance(ids, list):
        return []
    wanted = {number for number in ids if isinstance(number, int)}
    chains: dict[Any, list[ImportRecord]] = {}
    for record in trace.records:
        if record.id in wanted and record.outcome is None:
            chains.setdefault((record.thread.serial, record.thread.id), []).append(record)
    return list(chains.values())


def never_ended(trace: Trace) -> list[list[ImportRecord]]:
    """For each thread with loads that were not over when its process wrote the trace, those loads,
    outermost first. (Threads that wait for them have no record of it.)"""
    chains: dict[Any, list[ImportRecord]] = {}
    for record in trace.records:
        if record.kind == "load" and record.outcome is None and record.duration_ns is None:
            chains.setdefault((record.thread.serial, record.thread.id), []).append(record)
    return list(chains.values())


def lines(trace: Trace, paint: Paint) -> Iterator[str]:
    """A section; of a process that wrote its trace itself, only where an import was not over then."""
    end = ENDS.get(str(trace.header.get("end")))
    if end is None:
        chains = never_ended(trace)
        if chains:
            yield paint("Imports that were not over when the trace was written", BOLD)
            yield from _threads(chains, trace, paint)
        return
    chains = standing(trace)
    yield paint("Where it stood" if end is ENDS["died"] else "Where it stands", BOLD)
    yield from wrapped(end, "  ", lines=3)
    if not chains:
        yield "  no import was going on"
    yield from _threads(chains, trace, paint)


def _threads(chains: list[list[ImportRecord]], trace: Trace, paint: Paint) -> Iterator[str]:
    for chain in chains[:MOST_THREADS]:
        yield from _thread(chain, trace, paint)
    if len(chains) > MOST_THREADS:
        yield f"  and {len(chains) - MOST_THREADS} more threads"


def _thread(chain: list[ImportRecord], trace: Trace, paint: Paint) -> Iterator[str]:
    inner = chain[-1]
    name = inner.thread.name or f"thread {inner.thread.serial or inner.thread.id}"
    yield "  " + paint(fit(f"{plain(name)}: {_doing(inner)}", WIDTH - 2), YELLOW)
    if inner.origin:
        yield f"    file {plain(inner.origin)}"
    held = inner.held_by or {}
    thread = held.get("thread")
    if isinstance(thread, dict):
        holder = thread.get("name") or f"thread {thread.get('id', '?')}"
        yield f"    held by {plain(holder)}, which loads {plain(held.get('module', '?'))}"
    shown = chain if len(chain) <= MOST_LINKS else chain[:10] + chain[-(MOST_LINKS - 10) :]
    for place, record in enumerate(shown):
        if place == 10 and shown is not chain:
            yield f"      ({len(chain) - MOST_LINKS} more)"
        importer = record.importer
        where = "a place that was not seen"
        if importer is not None and importer.file:
            where = plain(importer.file) + (f" line {importer.line}" if importer.line else "")
        yield f"    {plain(record.module)}"
        statement = f": {plain(importer.statement)}" if importer and importer.statement else ""
        yield f"      asked for by {where}{statement}"


def _doing(record: ImportRecord) -> str:
    module = plain(record.module)
    since = f"since {record.start_ns / 1e6:,.1f} ms after the start"
    if record.kind == "request":
        return f"waits for {module}, {since}"
    if record.load_ns is not None:
        return f"in the body of {module}, {since}"
    if record.find_ns is not None:
        return f"creating {module}, {since}"
    return f"looking for {module}, {since}"
