"""The statements of threads, and the events that their records stand for, in one order. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from importtrace.race.outcome import without_addresses

if TYPE_CHECKING:
    from importtrace.race.scenario import Entry
    from importtrace.records import ImportRecord

FAR = 1 << 62
_PARENTHESES = re.compile(r"\s*\([^()]*\)")

# (thread, kind, module, hard, names bound, text): see `replay_plan`
Event = tuple[int, str, str, bool, "list[str] | None", str]
_Timed = tuple[tuple[int, float, int], Event]


@dataclass(frozen=True, slots=True)
class Failure:
    """`type` and `message` are None where the trace does not hold them."""

    type: str | None
    message: str | None
    handled: bool

    def like(self, kind: str | None, message: str | None) -> bool:
        """The same error; what stands in parentheses (paths, advice) differs between releases."""
        if self.type is not None and _last(self.type) != _last(kind or ""):
            return False
        if self.message is None or message is None:
            return self.type is not None or self.message is None
        return _bare(self.message) == _bare(message)

    def __str__(self) -> str:
        if self.type is None:
            return self.message or "an error"
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(slots=True)
class Statement:
    """One import of a thread, outside any other. `end_ns` is None where it was not over; `locked`: another
    thread has seen that it held the lock of its module."""

    entry: Entry
    start_ns: int
    end_ns: int | None
    place: str
    failure: Failure | None = None
    records: list[ImportRecord] = field(default_factory=list)
    locked: bool = False

    @property
    def until(self) -> int:
        return FAR if self.end_ns is None else self.end_ns


@dataclass(slots=True)
class Thread:
    """`number`: as the scheduler counts. `spawned`: a module's body starts it, so nothing is to be started."""

    name: str
    statements: list[Statement]
    spawned: bool = False
    number: int = 0


def thread_of(record: ImportRecord) -> tuple[int, int]:
    return (record.thread.serial or 0, record.thread.id if record.thread.serial is None else 0)


def place_of(record: ImportRecord) -> str:
    importer = record.importer
    if importer is None or not importer.file:
        return importer.module or "" if importer is not None else ""
    name = re.split(r"[/\\]", importer.file)[-1]
    return f"{name}, line {importer.line}" if importer.line else name


# events ----------------------------------------------------------------------------------------


def events_of(threads: list[Thread], by_id: dict[int, ImportRecord]) -> list[Event]:
    users: dict[str, set[int]] = defaultdict(set)
    for thread in threads:
        for statement in thread.statements:
            for record in statement.records:
                users[record.module].add(thread.number)
    found = []
    for thread in threads:
        for statement in thread.statements:
            unseen = _unseen(thread, statement)
            found += unseen
            for record in statement.records:
                shared = len(users[record.module]) > 1
                above = _above(record, by_id)
                # a load inside one of the same module: its lock is given back with the outer one only
                inner = any(one.module == record.module and one.kind == "load" for one in above)
                inner = inner or (bool(unseen) and record.module == statement.entry.module)
                for when, rank, kind, sure, bound in _of_record(record, len(above)):
                    if kind == "end" and inner:
                        continue
                    text = f"{thread.name} {_SAID[kind]} {record.module}"
                    place = place_of(record)
                    if place and kind == "begin":
                        text += f" ({place})"
                    event = (thread.number, kind, record.module, shared and sure, bound, text)
                    found.append(((when, rank, record.start_ns), event))
    found.sort(key=lambda pair: pair[0])
    number_of = {
        record.id: thread.number
        for thread in threads
        for statement in thread.statements
        for record in statement.records
    }
    _overtaken(found, number_of, by_id)
    _looked_before(found, number_of, by_id)
    return [event for _, event in found]


def _unseen(thread: Thread, statement: Statement) -> list[_Timed]:
    """Newer releases take the lock of the module, then wait for its unfinished package, and there it may be
    loaded on the way: its record begins inside the package's. The lock was taken before. Not hard, since
    3.15 waits first."""
    asked = statement.entry.module
    if not statement.records or not asked.startswith(statement.records[0].module + "."):
        return []
    loaded = any(one.kind == "load" and one.module == asked for one in statement.records)
    if not (loaded or statement.locked):
        return []
    start = statement.records[0].start_ns
    text = f"{thread.name} {_SAID['begin']} {asked} ({statement.place})"
    return [((start, -0.5, start), (thread.number, "begin", asked, False, None, text))]


def _overtaken(
    found: list[_Timed], number_of: dict[int, int], by_id: dict[int, ImportRecord]
) -> None:
    """Who began to ask before the holder had the lock, and then waited for it: it has looked whether the
    module is there when it began, and comes to the lock after the holder."""
    loads: dict[str, list[ImportRecord]] = defaultdict(list)
    for record in by_id.values():
        if record.kind == "load" and record.id in number_of:
            loads[record.module].append(record)
    for record in by_id.values():
        holder = by_id.get(record.of) if record.of is not None else None
        if not record.wait_ns or record.id not in number_of:
            continue
        if holder is not None and holder.start_ns <= record.start_ns:
            continue
        start, until = record.start_ns, record.start_ns + record.wait_ns
        later = [
            load.start_ns
            for load in loads[record.module]
            if thread_of(load) != thread_of(record) and start < load.start_ns < until
        ]
        if later:
            mine = number_of[record.id]
            for place, (key, event) in enumerate(found):
                if event[:3] == (mine, "begin", record.module) and key[0] == start:
                    found[place] = ((min(later), 999.0, 0), event)
                    found.append((key, _come(mine, record)))
                    break
    found.sort(key=lambda pair: pair[0])


def _come(number: int, record: ImportRecord) -> Event:
    text = f"{record.thread.name or number} is about to ask for {record.module}"
    return number, "come", record.module, False, None, text


def _looked_before(
    found: list[_Timed], number_of: dict[int, int], by_id: dict[int, ImportRecord]
) -> None:
    """Who waited and then loaded the module itself had seen it missing: its holder had taken the lock, and
    had not put it into sys.modules. Between these two nobody can be stopped, so the holder takes the
    lock only when the other one has looked, just before that one asks for it."""
    waits: dict[int, list[ImportRecord]] = defaultdict(list)
    for record in by_id.values():
        holder = by_id.get(record.of) if record.of is not None else None
        if record.kind == "load" and record.wait_ns and holder is not None:
            if record.id in number_of and holder.id in number_of and holder.kind == "load":
                if holder.module == record.module and thread_of(holder) != thread_of(record):
                    waits[holder.id].append(record)
    for holder_id, waiters in waits.items():
        holder = by_id[holder_id]
        who = number_of[holder_id]
        when = min(record.start_ns for record in waiters)
        between = any(event[0] == who and holder.start_ns < key[0] < when for key, event in found)
        if between or when < holder.start_ns:
            continue
        for place, (key, event) in enumerate(found):
            if event[:3] == (who, "begin", holder.module) and key[0] == holder.start_ns:
                found[place] = ((when, -1.0, 0), event)
        for record in waiters:
            mine = number_of[record.id]
            before = [
                key[0] for key, event in found if event[0] == mine and key[0] < record.start_ns
            ]
            if max(before, default=-1) < when:
                found.append(((when, -2.0, 0), _come(mine, record)))
        found.sort(key=lambda pair: pair[0])


_SAID = {
    "begin": "asks for",
    "body": "starts the body of",
    "end": "is through with",
    "wake": "has waited for",
}


def _of_record(
    record: ImportRecord, depth: int
) -> list[tuple[int, float, str, bool, list[str] | None]]:
    """(time, rank among the equal, kind, hard, names bound)"""
    start = record.start_ns
    end = None if record.duration_ns is None else start + record.duration_ns
    waited = record.wait_ns or 0
    bound = list(record.bound_names) if record.bound_names else None
    found: list[tuple[int, float, str, bool, list[str] | None]] = [
        (start, depth, "begin", True, bound if record.kind == "request" else None)
    ]
    if record.kind == "request":
        if end is not None and waited and record.outcome != "partial":
            found.append((end, depth + 0.2, "wake", record.outcome == "waited", None))
        return found
    if waited:
        found.append((start + waited, depth + 0.2, "wake", False, None))
    body = None
    if record.exec_ns is not None and end is not None:
        body = end - record.exec_ns
    elif end is None and record.load_ns is not None:
        body = start + waited + (record.find_ns or 0) + record.load_ns
    if body is not None:
        found.append((body, depth + 0.5, "body", False, None))
    if end is not None:
        found.append((end, 1000.0 - depth, "end", True, None))
    return found


def _above(record: ImportRecord, by_id: dict[int, ImportRecord]) -> list[ImportRecord]:
    """The loads around it in its thread, innermost first."""
    found: list[ImportRecord] = []
    above = by_id.get(record.parent) if record.parent is not None else None
    while above is not None and len(found) < 500 and thread_of(above) == thread_of(record):
        found.append(above)
        above = by_id.get(above.parent) if above.parent is not None else None
    return found


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _bare(message: str) -> str:
    previous = None
    while message != previous:
        previous, message = message, _PARENTHESES.sub("", message)
    return " ".join((without_addresses(message) or "").split())
