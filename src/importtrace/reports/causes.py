"""The failures of a trace, each with its cause, as text: what ``importtrace explain`` prints."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from importtrace.reports.text import (
    BOLD,
    RED,
    WIDTH,
    Paint,
    error_text,
    fit,
    milliseconds,
    plain,
    thread_name,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import ImportRecord, Trace


def report(trace: Trace, name: str, *, colour: bool = False, everything: bool = False) -> str:
    """The failures in the order in which they happened; those the program handled only if
    ``everything``."""
    return "\n".join(_lines(trace, name, Paint(colour), everything)) + "\n"


def _lines(trace: Trace, name: str, paint: Paint, everything: bool) -> Iterator[str]:
    explained = trace.failures
    shown = [record for record in explained if everything or record.handled is not True]
    yield paint(fit(f"{plain(name)}: {_verdict(trace, len(shown))}", WIDTH), BOLD)
    for problem in trace.problems[:5]:
        yield f"  damaged: {plain(problem)}"
    for number, record in enumerate(shown, start=1):
        yield ""
        yield from _failure(number, record, paint)
    hidden = len(explained) - len(shown)
    if hidden:
        yield ""
        yield f'{hidden} more, handled by the program: "importtrace explain --all {plain(name)}"'


def _verdict(trace: Trace, shown: int) -> str:
    if shown:
        return f"{shown} failed import" + ("" if shown == 1 else "s")
    if any(record.outcome == "failed" and not record.handled for record in trace.records):
        return "imports failed, but the trace holds no cause for them"
    return "no import failed" if not trace.failures else "no import failed for good"


def _failure(number: int, record: ImportRecord, paint: Paint) -> Iterator[str]:
    where = f"{number}. {plain(record.module)}, in {thread_name(record.thread)}"
    when = f"{milliseconds(record.start_ns)} ms after the start"
    yield paint(fit(f"{where}, {when}", WIDTH), RED)
    yield from wrapped(error_text(record), "   ", lines=8)
    yield ""
    yield from _cause(record)


def _cause(record: ImportRecord) -> list[str]:
    from importtrace.analysis import render

    try:
        text = render.text(record.cause or {})
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # The file is not from us, or was edited: what it says in one line may still be right.
        text = str((record.cause or {}).get("summary", "the cause in this trace cannot be read"))
    return [part for line in text.splitlines() for part in _folded(plain(line))]


def _folded(line: str) -> list[str]:
    """A line of the cause in 80 columns, under its own indent; a path is never broken."""
    indent = "   " + " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line.lstrip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
