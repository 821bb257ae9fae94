"""A `Replayed` as text for a tired person, and as JSON."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from importtrace.race.replay import NOT_RECORDED
from importtrace.race.replay_plan import SEPARATOR
from importtrace.race.report import _cause, told, wrapped
from importtrace.reports.terminal import BOLD, DIM, RED, Paint, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.race.outcome import Result
    from importtrace.race.replay import Matched, Replayed
    from importtrace.race.schedule import Schedule

MOST_EVENTS = 30
MOST_STATEMENTS = 6


def verdict(found: Replayed) -> str:
    if not found.matched and not found.order.hung:
        if found.result.ok:
            return "the trace holds no failure, and none came here"
        return f"the trace holds no failure, but here: {found.result.message}"
    what = "the hang" if found.order.hung else "the failure"
    if found.times == found.of:
        return f"{what} was reproduced, {found.times}/{found.of}"
    if found.times:
        return f"{what} was reproduced in {found.times} of {found.of} runs"
    if found.diverged:
        return f"not reproduced: the recorded order cannot be followed ({found.times}/{found.of})"
    return f"not reproduced in the recorded order ({found.times}/{found.of})"


def text(found: Replayed, name: str, *, colour: bool = False) -> str:
    return "\n".join(_lines(found, name, Paint(colour))) + "\n"


def _lines(found: Replayed, name: str, paint: Paint) -> Iterator[str]:
    order = found.order
    head = f"{plain(name)} on Python {found.python}: {plain(verdict(found))}"
    yield from (paint(line, RED if found.failed else BOLD) for line in wrapped(head, "", lines=4))
    yield paint(f"  recorded on Python {plain(found.recorded_python)}", DIM)
    yield ""
    for thread in order.threads:
        shown = thread.statements[:MOST_STATEMENTS]
        said = "; ".join(plain(statement.entry.statement) for statement in shown)
        if len(thread.statements) > len(shown):
            said += f"; and {len(thread.statements) - len(shown)} more"
        of = ", started by a module" if thread.spawned else ""
        yield from wrapped(f"T{thread.number} {plain(thread.name)}{of}: {said}", "  ", lines=4)
    if order.before:
        yield from wrapped(
            f"before them, in one thread: {_names(s.entry.statement for s in order.before)}",
            "  ",
            lines=3,
        )
    yield ""
    yield from _events(found, paint)
    if found.diverged:
        yield ""
        places = found.diverged.split(SEPARATOR)
        yield from wrapped(f"Left the recorded order {plain(places[0])}", "", lines=6)
        yield from (
            line for place in places[1:3] for line in wrapped(plain(place), "  then ", lines=3)
        )
    yield ""
    for one in found.matched:
        yield from _matched(one, found, paint)
    if found.cause is not None and found.reproduced:
        yield ""
        yield from _cause(found.cause, "")
    if found.schedule is not None:
        yield ""
        yield "the same in one line, for a test or another machine:"
        folders = "".join(f"--path {shlex.quote(folder)} " for folder in found.path)
        yield f"  importtrace replay {folders}{shlex.quote(str(found.schedule))}"
    yield ""
    yield from wrapped(f"Not recorded, so taken from here: {'; '.join(NOT_RECORDED)}.", "", lines=4)
    if found.path:
        yield from wrapped(f"In front of sys.path: {plain(', '.join(found.path))}", "", lines=4)
    for note in found.notes:
        yield from wrapped(f"Note: {plain(note)}", "", lines=4)


def _events(found: Replayed, paint: Paint) -> Iterator[str]:
    events = found.order.events
    telling = [(number, event) for number, event in enumerate(events, 1) if event[3]]
    if not telling:
        yield f"{len(events)} events, none of a module that two threads asked for"
        return
    yield paint(f"The order of the {len(events)} events; of modules that threads share:", BOLD)
    shown = telling[:MOST_EVENTS]
    for number, event in shown:
        yield from wrapped(f"{number}. {plain(event[5])}", "  ", lines=2)
    if len(telling) > len(shown):
        yield f"  ... and {len(telling) - len(shown)} more; --json has them all"


def _matched(one: Matched, found: Replayed, paint: Paint) -> Iterator[str]:
    statement = one.thread.statements[one.statement].entry.statement
    head = f"T{one.thread.number} {plain(one.thread.name)}, {plain(statement)}: "
    head += f"as recorded {one.times}/{found.of}"
    yield from (paint(line, BOLD) for line in wrapped(head, "", lines=3))
    yield from wrapped(f"recorded: {plain(one.recorded)}", "  ", lines=4)
    for other, count in one.others.most_common(3):
        yield from wrapped(f"instead, {count} times: {plain(other)}", "  ", lines=4)


def _names(statements: Any) -> str:
    found = [plain(statement) for statement in statements]
    shown = "; ".join(found[:MOST_STATEMENTS])
    more = len(found) - MOST_STATEMENTS
    return f"{shown}; and {more} more" if more > 0 else shown


def data(found: Replayed, name: str) -> dict[str, Any]:
    order = found.order
    return {
        "trace": name,
        "python": found.python,
        "recorded_python": found.recorded_python,
        "reproduced": f"{found.times}/{found.of}",
        "failed": found.failed,
        "outcome": found.result.outcome,
        "message": found.result.message,
        "followed": found.diverged is None,
        "diverged": found.diverged,
        "threads": [
            {
                "number": thread.number,
                "name": thread.name,
                "started_by_a_module": thread.spawned,
                "statements": [statement.entry.statement for statement in thread.statements],
            }
            for thread in order.threads
        ],
        "before": [statement.entry.statement for statement in order.before],
        "failures": [
            {
                "thread": one.thread.number,
                "statement": one.thread.statements[one.statement].entry.statement,
                "recorded": one.recorded,
                "reproduced": f"{one.times}/{found.of}",
                "instead": dict(one.others),
            }
            for one in found.matched
        ],
        "events": [
            {"thread": event[0], "kind": event[1], "module": event[2], "shared": event[3]}
            for event in order.events
        ],
        "cause": found.cause,
        "schedule": str(found.schedule) if found.schedule is not None else None,
        "path": list(found.path),
        "not_recorded": list(NOT_RECORDED),
        "notes": found.notes,
        "seconds": round(found.seconds, 3),
    }


def schedule_data(
    schedule: Schedule, python: str, result: Result, times: int, of: int
) -> dict[str, Any]:
    return {
        "schedule": str(schedule),
        "python": python,
        "reproduced": f"{times}/{of}",
        "failed": times > 0,
        "outcome": result.outcome,
        "message": result.message,
        "followed": result.followed,
        "diverged": result.diverged,
        "cause": result.cause,
    }


def schedule_text(
    schedule: Schedule, python: str, result: Result, times: int, of: int, *, colour: bool = False
) -> str:
    paint = Paint(colour)
    if times:
        head = f"Python {python}: fails, {times}/{of}"
    elif result.followed:
        head = f"Python {python}: this schedule does not fail, 0/{of}"
    else:
        head = f"Python {python}: cannot fail this way, 0/{of}"
    lines = [paint(head, RED if times else BOLD)]
    if times:
        lines += told(schedule, result)
        lines += ["", *wrapped(plain(result.message or result.outcome), "  ", lines=4)]
        if result.cause is not None:
            lines += _cause(result.cause, "  ")
    if not result.followed:
        lines += wrapped(f"Not followed: {plain(result.diverged)}", "  ", lines=4)
    return "\n".join(lines) + "\n"
