"""The failures of a trace, each with its cause, as text: what ``importtrace explain`` prints."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from importtrace.reports import stalls, standing
from importtrace.reports.terminal import BOLD, RED, WIDTH, Paint, fit, plain, wrapped
from importtrace.reports.text import error_text, milliseconds, thread_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import ImportRecord, Trace


def report(trace: Trace, name: str, *, colour: bool = False, everything: bool = False) -> str:
    """The failures in the order in which they happened; those the program handled only if
    ``everything``."""
    return "\n".join(_lines(trace, name, Paint(colour), everything)) + "\n"


def explained(trace: Trace) -> list[tuple[ImportRecord | None, dict[str, Any]]]:
    """Each failure that has a cause, with its record: None for a statement outside any load, whose
    cause stands in the header."""
    found: list[tuple[ImportRecord | None, dict[str, Any]]] = [
        (record, record.cause or {}) for record in trace.failures
    ]
    loose = trace.header.get("failures")
    if isinstance(loose, list):
        found += [(None, cause) for cause in loose if isinstance(cause, dict)]
    return found


def _lines(trace: Trace, name: str, paint: Paint, everything: bool) -> Iterator[str]:
    known = explained(trace)
    shown = [
        (record, cause)
        for record, cause in known
        if everything or record is None or record.handled is not True
    ]
    yield paint(fit(f"{plain(name)}: {_verdict(trace, len(known), len(shown))}", WIDTH), BOLD)
    for problem in trace.problems[:5]:
        yield f"  damaged: {plain(problem)}"
    stood = list(standing.lines(trace, paint))
    if stood:
        yield ""
        yield from stood
    hung = list(stalls.lines(trace, paint))
    if hung:
        yield ""
        yield from hung
    for number, (record, cause) in enumerate(shown, start=1):
        yield ""
        if record is not None:
            yield from _failure(number, record, paint)
        else:
            yield paint(f"{number}. outside any load", RED)
            if cause.get("message"):
                yield from wrapped(plain(cause["message"]), "   ", lines=8)
        yield ""
        yield from _cause(cause)
    hidden = len(known) - len(shown)
    if hidden:
        yield ""
        yield f"{hidden} more, handled by the program: importtrace explain --all {plain(name)}"


def _verdict(trace: Trace, known: int, shown: int) -> str:
    if shown:
        return f"{shown} failed import" + ("" if shown == 1 else "s")
    if any(record.outcome == "failed" and not record.handled for record in trace.records):
        return "imports failed, but the trace holds no cause for them"
    return "no import failed for good" if known else "no import failed"


def _failure(number: int, record: ImportRecord, paint: Paint) -> Iterator[str]:
    where = f"{number}. {plain(record.module)}, in {thread_name(record.thread)}"
    when = f"{milliseconds(record.start_ns)} ms after the start"
    yield paint(fit(f"{where}, {when}", WIDTH), RED)
    yield from wrapped(error_text(record), "   ", lines=8)


def _cause(cause: dict[str, Any]) -> list[str]:
    from importtrace.analysis import render

    try:
        text = render.text(cause)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # The file is not from us, or was edited: what it says in one line may still be right.
        text = str(cause.get("summary", "the cause in this trace cannot be read"))
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
