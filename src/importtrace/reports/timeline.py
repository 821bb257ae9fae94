"""What threads did to each other while they imported: a column for each, time going down.

    ms  warm-up-1                       warm-up-2
   0.0  starts shop
   0.4  starts shop.errors
   0.9                                  starts shop.agent
   1.1                                  waits for shop.errors

For a few modules, not for a whole start-up: the caller chooses the records. Pure.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from importtrace.analysis.tree import thread_key
from importtrace.reports.terminal import BOLD, RED, WIDTH, YELLOW, Paint, plain
from importtrace.reports.text import milliseconds, thread_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from importtrace.records import ImportRecord

MARGIN = 9


class Event(NamedTuple):
    """Something that a thread did; ``colour`` is an SGR code or None."""

    at_ns: int
    record: ImportRecord
    text: str
    colour: str | None = None


def report(records: Iterable[ImportRecord], *, shorten: str = "", colour: bool = False) -> str:
    """The table. ``shorten`` is left out at the beginning of module names; times count from the
    first event."""
    paint = Paint(colour)
    chosen = {record.id: record for record in records}
    events = sorted(
        (event for record in chosen.values() for event in _events(record, chosen, shorten)),
        key=lambda event: event.at_ns,
    )
    if not events:
        return ""
    threads = {thread_key(event.record.thread): event.record.thread for event in events}
    keys = sorted(threads)
    width = (WIDTH - MARGIN) // len(keys)
    names = "".join(f"{thread_name(threads[key])[: width - 1]:<{width}}" for key in keys)
    lines = [paint(f"{'ms':>7}  {names}".rstrip(), BOLD)]
    for event in events:
        time = milliseconds(event.at_ns - events[0].at_ns)
        left = " " * (keys.index(thread_key(event.record.thread)) * width)
        for cell in textwrap.wrap(event.text, width - 1, subsequent_indent="  "):
            shown = paint(cell, event.colour) if event.colour else cell
            lines.append(f"{time:>7}  {left}{shown}")
            time = ""
    return "\n".join(lines) + "\n"


def _events(record: ImportRecord, chosen: dict[int, ImportRecord], shorten: str) -> Iterator[Event]:
    module = plain(record.module.removeprefix(shorten))
    begin, waited = record.start_ns, record.wait_ns or 0
    end = begin + (record.duration_ns if record.duration_ns is not None else waited)
    if waited:
        yield Event(begin, record, f"waits for {module}", YELLOW)
    if record.kind == "load":
        yield Event(begin + waited, record, f"starts {module}")
        if record.duration_ns is not None:
            failed = record.outcome == "failed"
            yield Event(
                end, record, f"{'fails in' if failed else 'finishes'} {module}", RED * failed
            )
    elif record.outcome == "failed":
        yield Event(end, record, f"{_lack(record)} {module}", RED)
    elif record.outcome == "partial":
        building = chosen.get(record.of) if record.of is not None else None
        if building is not None and thread_key(building.thread) == thread_key(record.thread):
            # its own, further down in the same import, and nearly always harmless
            yield Event(end, record, f"comes back to {module}")
        else:
            yield Event(end, record, f"is given {module} half-built", RED)
    elif waited:
        yield Event(end, record, f"goes on with {module}")


def _lack(record: ImportRecord) -> str:
    partial = (record.cause or {}).get("partial")
    if isinstance(partial, dict) and partial.get("state") == "failed":
        return "is left with half of"
    if (record.error or {}).get("type") == "ImportError":  # of `from … import …`: it got the module
        return "misses a name of"
    return "gives up on"
