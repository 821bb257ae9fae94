"""The imports of a trace that hung, as text (docs/stuck-imports.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.reports.terminal import RED, WIDTH, Paint, fit, plain, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import Trace

_MOST = 20
_MOST_LINKS = 12


def lines(trace: Trace, paint: Paint) -> Iterator[str]:
    """One paragraph each, in the order in which they were noticed; nothing where none hung."""
    found = trace.header.get("stalls")
    stalls = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    for number, stall in enumerate(stalls[:_MOST]):
        if number:
            yield ""
        yield paint(fit(f"hung: {_what(stall)}, {_end(stall)}", WIDTH), RED)
        yield from wrapped(plain(str(stall.get("summary", ""))), "   ", lines=12)
        for thread in _dicts(stall.get("threads"))[:_MOST]:
            yield from _thread(thread)
        if stall.get("hint"):
            yield from wrapped(f"what next: {plain(str(stall['hint']))}", "   ", lines=4)
    if len(stalls) > _MOST:
        yield f"{len(stalls) - _MOST} more in the trace's first line, under 'stalls'"


def _what(stall: dict[str, Any]) -> str:
    module = stall.get("module")
    return f"the import of {plain(str(module))}" if module else "the global import lock"


def _end(stall: dict[str, Any]) -> str:
    since, end = stall.get("since_ns"), stall.get("ended_ns")
    if isinstance(since, int) and isinstance(end, int):
        words = {"going_on": "then it went on", "failed": "then it failed", "ok": "then it ended"}
        then = words.get(str(stall.get("outcome")), "then it ended")
        return f"for {(end - since) / 1e9:.1f} s, {then}"
    return "not over when the trace was written"


def _thread(thread: dict[str, Any]) -> Iterator[str]:
    ref = thread.get("thread")
    name = (ref.get("name") or ref.get("id")) if isinstance(ref, dict) else "?"
    ended = " (it had ended)" if thread.get("alive") is False else ""
    yield fit(f"   thread {plain(str(name))}{ended}:", WIDTH)
    links = _dicts(thread.get("chain"))
    left_out = len(links) - _MOST_LINKS
    if left_out > 0:
        yield f"     … {left_out} more …"
        links = links[-_MOST_LINKS:]
    for link in links:
        place = f"{link.get('file', '?')}, line {link.get('line', '?')}"
        statement = f": {link['statement']}" if link.get("statement") else ""
        text = f"{link.get('module', '?')} ({place}){statement}"
        yield from wrapped(plain(text), "     ", lines=4)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
