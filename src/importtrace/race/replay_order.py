"""From a trace to what has to be run again: threads with their statements, and the order of their events.
Pure: a `Trace` in, values out.

    order = read(trace)
    order.before    statements that were over before the threads met: run first, in one thread
    order.threads   those that imported at the same time: their statements, and how they ended
    order.events    see `replay_plan`
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from importtrace.race.replay_events import (
    FAR,
    Event,
    Failure,
    Statement,
    Thread,
    events_of,
    place_of,
    thread_of,
)
from importtrace.race.scenario import Entry

if TYPE_CHECKING:
    from importtrace.records import ImportRecord, Trace

# What an interpreter imports before the program, and no statement of it.
_START_UP = ("site", "sitecustomize", "usercustomize", "importtrace")
_LIBRARY = re.compile(r"[/\\](site-packages|dist-packages|lib-dynload|lib[/\\]python3\.\d+t?)$")


@dataclass(slots=True)
class Order:
    before: list[Statement]
    threads: list[Thread]
    events: list[Event]
    expected: list[tuple[int, int, Failure]]  # (thread, number of its statement, what)
    hung: bool
    roots: list[str]
    modules: frozenset[str]
    origins: dict[str, str]
    notes: list[str]

    @property
    def shared(self) -> list[str]:
        """Modules that several of the threads have asked for."""
        return list(dict.fromkeys(event[2] for event in self.events if event[3]))


def read(trace: Trace) -> Order:
    by_id = {record.id: record for record in trace.records}
    threads = _threads(trace, by_id)
    _named_by_their_locks(trace, threads)
    notes = []
    _failures_without_record(trace, threads)
    expected = [
        statement
        for thread in threads
        for statement in thread.statements
        if statement.failure is not None and not statement.failure.handled
    ]
    hung = not expected and _hung(trace)
    if not expected and not hung:
        expected = [
            statement
            for thread in threads
            for statement in thread.statements
            if statement.failure is not None and statement.failure.type != "ModuleNotFoundError"
        ]
        if expected:
            notes.append("every failure was handled by the program; they are what is looked for")
    if expected:
        until = max(statement.until for statement in expected)
        for thread in threads:
            thread.statements = [one for one in thread.statements if one.start_ns <= until]
        threads = [thread for thread in threads if thread.statements]
    before = _split(threads, expected)
    threads = [thread for thread in threads if thread.statements]
    threads.sort(key=lambda one: (one.spawned, one.statements[0].start_ns))
    for number, thread in enumerate(threads, start=1):
        thread.number = number
    wanted = [
        (thread.number, number, statement.failure)
        for thread in threads
        for number, statement in enumerate(thread.statements)
        if statement.failure is not None and any(statement is one for one in expected)
    ]
    return Order(
        before,
        threads,
        events_of(threads, by_id),
        sorted(wanted, key=lambda one: threads[one[0] - 1].statements[one[1]].until),
        hung,
        _roots(trace),
        frozenset(record.module for record in trace.records),
        {record.module: record.origin for record in trace.records if record.origin},
        notes,
    )


# threads and their statements ------------------------------------------------------------------


def _threads(trace: Trace, by_id: dict[int, ImportRecord]) -> list[Thread]:
    found: dict[tuple[int, int], Thread] = {}
    inside: dict[int, Statement | None] = {}
    records = sorted(trace.records, key=lambda one: (one.start_ns, one.id))
    for record in records:
        parent = by_id.get(record.parent) if record.parent is not None else None
        if parent is not None and thread_of(parent) == thread_of(record) and parent.id in inside:
            statement = inside[parent.id]
        elif record.importer is None or record.module.partition(".")[0] in _START_UP:
            statement = None
        else:
            thread = found.get(thread_of(record))
            if thread is None:
                name = record.thread.name or f"thread {record.thread.serial or record.thread.id}"
                thread = found[thread_of(record)] = Thread(name, [])
                # What started it is over before it imports only if that is no body.
                thread.spawned = parent is not None
            statement = _statement(thread, record)
        inside[record.id] = statement
        if statement is not None:
            statement.records.append(record)
            end = None if record.duration_ns is None else record.start_ns + record.duration_ns
            if end is None:
                statement.end_ns = None if record.outcome is None else statement.end_ns
            elif statement.end_ns is not None:
                statement.end_ns = max(statement.end_ns, end)
    return list(found.values())


def _statement(thread: Thread, record: ImportRecord) -> Statement:
    """The one that this record begins, or the thread's last one if it is of the same import."""
    failure = None
    if record.error is not None or record.outcome == "failed":
        error = record.error or {}
        failure = Failure(error.get("type"), error.get("message"), bool(record.handled))
    last = thread.statements[-1] if thread.statements else None
    place = place_of(record)
    if last is not None and last.place == place and last.records:
        module, first = last.entry.module, last.records[0]
        deeper = record.module.startswith(module + ".")
        names = first.names or ()
        if (
            (first.implied and deeper and last.failure is None)
            or (record.implied and (module + ".").startswith(record.module + "."))
            or (deeper and record.module.rpartition(".")[2] in names)
            or (last.failure is None and _on_the_way(record, last))
        ):
            if first.implied and deeper:
                last.entry = _entry(record)
            last.failure = failure or last.failure
            return last
    statement = Statement(_entry(record), record.start_ns, record.start_ns, place, failure)
    thread.statements.append(statement)
    return statement


def _on_the_way(record: ImportRecord, last: Statement) -> bool:
    """The same statement still, whose module has not been come to: one more look at a package of it."""
    asked = last.entry.module
    if record.module == asked or _entry(record) != last.entry:
        return False
    return all(asked.startswith(one.module + ".") for one in last.records if one.parent is None)


def _asked(record: ImportRecord) -> str | None:
    """The module that the statement names, where the record is of a package of it: newer releases wait for
    an unfinished package before they look for its module."""
    importer = record.importer
    if importer is None or not importer.statement:
        return None
    below = record.module + "."
    try:
        [node] = ast.parse(importer.statement.strip()).body
    except (SyntaxError, ValueError):
        return None
    if isinstance(node, ast.Import):
        return next((alias.name for alias in node.names if alias.name.startswith(below)), None)
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return None
    module = node.module
    if node.level:
        package = (importer.module or "").split(".")
        if place_of(record).partition(",")[0] != "__init__.py":
            package.pop()
        module = ".".join([*package[: len(package) - node.level + 1], module])
    return module if module.startswith(below) else None


def _named_by_their_locks(trace: Trace, threads: list[Thread]) -> None:
    """A statement whose source was not there, and of which the trace holds only a wait for the package: who
    met it holding the lock of a module in that package has seen which one it was."""
    for record in trace.records:
        held = (record.held_by or {}).get("thread")
        if not isinstance(held, dict):
            continue
        for thread in threads:
            for statement in thread.statements:
                first = statement.records[0] if statement.records else None
                if (
                    first is not None
                    and (first.thread.id, first.thread.name) == (held.get("id"), held.get("name"))
                    and first.start_ns <= record.start_ns <= statement.until
                    and statement.entry.name is None
                    and record.module.startswith(statement.entry.module + ".")
                    and not any(
                        one.module == record.module and one.start_ns <= record.start_ns
                        for one in statement.records
                    )
                ):
                    statement.entry, statement.locked = Entry(record.module), True


def _entry(record: ImportRecord) -> Entry:
    """What Python was told: `names` belong to the module that the statement names."""
    module, names = record.module, record.names
    asked = _asked(record)
    if asked is not None:
        return Entry(asked, ", ".join(names) if names else None)
    if not names:
        return Entry(module)
    package, _, last = module.rpartition(".")
    said = _from(record.importer.statement if record.importer is not None else None)
    if said == "":
        module = package if package and last in names else module  # from . import
    elif said is not None:
        if package and _ends(package, said) and not _ends(module, said):
            module = (
                package  # the record is that of a module that the statement has among its names
            )
    elif package and last in names:
        return Entry(module)
    return Entry(module, ", ".join(names))


def _from(text: str | None) -> str | None:
    """The module of a `from` statement, without dots before it."""
    try:
        tree = ast.parse((text or "").strip())
    except (SyntaxError, ValueError):
        return None
    first = tree.body[0] if tree.body else None
    return first.module or "" if isinstance(first, ast.ImportFrom) else None


def _ends(module: str, said: str) -> bool:
    return module == said or module.endswith("." + said)


def _failures_without_record(trace: Trace, threads: list[Thread]) -> None:
    """Causes in the header: of statements that failed without a load that did."""
    for cause in trace.header.get("failures") or ():
        chain = cause.get("chain") or [{}]
        who = chain[-1].get("thread") or {}
        for thread in threads:
            records = thread.statements[-1].records
            if records and (records[0].thread.id, records[0].thread.name) == (
                who.get("id"),
                who.get("name"),
            ):
                of = [one for one in thread.statements if one.entry.module == cause.get("module")]
                statement = of[-1] if of else thread.statements[-1]
                if statement.failure is None:
                    statement.failure = Failure(None, cause.get("message"), False)


def _hung(trace: Trace) -> bool:
    """It was waiting for a module when the trace ended."""
    return any(
        record.outcome is None and record.kind == "request" and record.held_by is not None
        for record in trace.records
    )


# what is run first -----------------------------------------------------------------------------


def _split(threads: list[Thread], expected: list[Statement]) -> list[Statement]:
    """Takes away, and returns, what was over before anything else began."""
    everything = sorted(
        ((statement, thread) for thread in threads for statement in thread.statements),
        key=lambda pair: pair[0].start_ns,
    )
    starts = [thread.statements[0].start_ns for thread in threads if thread.spawned]
    before = []
    for number, (statement, thread) in enumerate(everything):
        following = everything[number + 1][0].start_ns if number + 1 < len(everything) else FAR
        if (
            thread.spawned
            or number == len(everything) - 1  # something is to be run
            or statement.until >= following
            or any(statement is one for one in expected)
            or any(statement.start_ns <= start <= statement.until for start in starts)
        ):
            break
        before.append(statement)
        thread.statements.remove(statement)
    return before


# where the code was ----------------------------------------------------------------------------


def _roots(trace: Trace) -> list[str]:
    """The folders of `sys.path` that the program's own modules came from, in the order of their use."""
    found: dict[str, None] = {}
    for record in trace.records:
        root = _root(record.module, record.origin)
        if root is not None and not _LIBRARY.search(root):
            found.setdefault(root)
    return list(found)


def _root(module: str, origin: str | None) -> str | None:
    if not origin or not origin.endswith((".py", ".pyc", ".so", ".pyd")):
        return None
    parts = re.split(r"([/\\])", origin)
    steps = module.count(".") + 1
    if parts[-1].partition(".")[0] == "__init__":
        steps += 1
    names = module.split(".")
    folders = parts[:-1:2][len(parts[:-1:2]) - steps + 1 :] if steps > 1 else []
    if folders and folders != names[: len(folders)]:
        return None  # a `__path__` of its own
    return "".join(parts[: len(parts) - 2 * steps]) or None
