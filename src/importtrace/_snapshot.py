"""From raw records to a `Trace`: everything that was too dear to compute while importing.

The same as plain dicts, for a process where a file of the user's stands in front of a module that
`records` needs: so this file, and what it imports at once, needs nothing but `os`.
"""

import os
import sys

from importtrace import _compat
from importtrace._files import read
from importtrace._history import place_of
from importtrace._recorder import Load, Recorder, Request, ThreadState, thread_name
from importtrace._shown import SCHEMA, not_observed, observed
from importtrace.analysis.statements import at_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from importtrace._failures import Caught
    from importtrace.records import Importer, ImportRecord, ThreadRef, Trace


class Facts:
    """What the session knows besides the log."""

    __slots__ = (
        "end",
        "epoch_ns",
        "mode",
        "parent_pid",
        "ready_at",
        "ready_by",
        "ready_points",
        "stopped",
        "unexplained",
    )

    def __init__(self) -> None:
        self.mode = ""
        self.epoch_ns = 0
        self.parent_pid = os.getppid()
        self.ready_at: int | None = None
        self.ready_by: str | None = None
        self.ready_points: dict[str, str] = {}
        self.end = "snapshot"
        self.unexplained: list[str] = []
        self.stopped: str | None = None


class Plain:
    """A trace as the lines of its file: dicts of strings, numbers, lists and dicts."""

    __slots__ = ("header", "records")

    def __init__(self, header: "dict[str, Any]", records: "list[dict[str, Any]]") -> None:
        self.header = header
        self.records = records


def snapshot(recorder: "Recorder", facts: "Facts") -> "Trace":
    """An immutable copy of what was recorded so far."""
    from importtrace import records as kinds

    raw = recorder.records()
    builder = _Builder(recorder, facts, raw, kinds)
    records = tuple(builder.record(record) for record in raw)
    return kinds.Trace(header=builder.header(records), records=records)


def plain(recorder: "Recorder", facts: "Facts") -> "Plain":
    """The same, without anything of the standard library."""
    raw = recorder.records()
    builder = _Builder(recorder, facts, raw, _PlainKinds)
    records: list[Any] = [builder.record(record) for record in raw]
    header = builder.header(records)
    return Plain(header, [record.to_dict() for record in records])


class _PlainValue:
    """What `to_dict` of the types in `records` gives; the field names are theirs."""

    __slots__ = ("facts",)

    def __init__(self, **facts: "Any") -> None:
        self.facts = facts

    @property
    def origin(self) -> "Any":
        return self.facts.get("origin")

    def to_dict(self) -> "dict[str, Any]":
        out: dict[str, Any] = {}
        for key, value in self.facts.items():
            if isinstance(value, _PlainValue):
                out[key] = value.to_dict()
            elif value is not None:
                out[key] = list(value) if type(value) is tuple else value
        return out


class _PlainKinds:
    """In the place of the module `records`."""

    ImportRecord = Importer = ThreadRef = _PlainValue


class _Builder:
    """`kinds` has the three types that records are made of."""

    def __init__(
        self, recorder: "Recorder", facts: "Facts", raw: "list[Load | Request]", kinds: "Any"
    ) -> None:
        self._kinds = kinds
        self._recorder = recorder
        self._facts = facts
        self._ids = {id(record): number for number, record in enumerate(raw, start=1)}
        self._lines: dict[str, list[str]] = {}
        self._refs: dict[int, ThreadRef] = {}
        self._children: dict[int, list[Load]] = {}
        self._last: dict[int, int] = {}  # thread serial -> begin of its last record
        self._last_failure: dict[int, Caught] = {}
        for record in raw:
            self._last[record.thread.serial] = record.begin
            if type(record) is Load:
                if record.parent is not None and record.parent.thread is record.thread:
                    self._children.setdefault(id(self._kept(record.parent)), []).append(record)
                if record.failure is not None:
                    self._last_failure[record.thread.serial] = record.failure
        self._by_request = {
            id(caught.request): caught for caught in recorder.failures if caught.request is not None
        }

    # records -------------------------------------------------------------------------------

    def record(self, raw: "Load | Request") -> "ImportRecord":
        return self._load(raw) if isinstance(raw, Load) else self._request(raw)

    def _load(self, load: "Load") -> "ImportRecord":
        caught: Caught | None = load.failure
        children = self._children.get(id(load), ())
        duration = load.end - load.begin if load.end else None
        found = load.found or (load.create if load.create > 0 else 0)
        find = load_ns = execute = None
        if load.adopted:
            pass  # began elsewhere, or before us
        elif found or load.error is not None:
            since = load.begin + load.wait
            until = found or (load.end if load.error is not None else 0)
            if until:
                # what the finder itself imported, or the parent, is not finding
                inner = sum(c.end - c.begin for c in children if c.end and since <= c.begin < until)
                find = max(0, until - since - inner)
        if load.body and not load.adopted:
            if load.found and load.body > load.found:
                load_ns = load.body - load.found
            if load.end:
                execute = load.end - load.body
        outcome: Any = None
        if load.error is not None:
            outcome = "failed"
        elif load.end:
            outcome = "waited" if load.wait else "ok"
        importer, names = self._importer(load)
        record: ImportRecord = self._kinds.ImportRecord(
            kind="load",
            id=self._ids[id(load)],
            parent=self._id(load.parent),
            module=load.name,
            outcome=outcome,
            thread=self._thread(load.thread),
            start_ns=max(0, load.begin - self._recorder.started_at),
            duration_ns=duration,
            find_ns=find,
            load_ns=load_ns,
            exec_ns=execute,
            wait_ns=load.wait or None,
            self_ns=(
                max(0, duration - sum(c.end - c.begin for c in children if c.end))
                if duration is not None
                else None
            ),
            importer=importer,
            names=names,
            held_by=self._held_by(load.holder),
            of=self._ids.get(id(load.holder)),  # never its ancestor: that is another module
            origin=load.origin,
            loader=_name(load.loader),
            bytecode=_bytecode(load),
            error=_error(caught, load) if load.error is not None else None,
            handled=self._handled(load, caught) if caught is not None else None,
            cause=caught.cause if caught is not None and caught.loads[0] is load else None,
            implied=load.implied or None,
            reload=load.reload or None,
            harmless_requests=load.harmless or None,
        )
        return record

    def _request(self, request: "Request") -> "ImportRecord":
        caught = self._by_request.get(id(request))
        of = request.of
        partial = request.deadlock == "accepted" or (
            request.deadlock is None
            and (request.owner is request.thread or _of_one_thread(request))
        )
        failed_there = of is not None and of.error is not None and not partial
        importer, names = self._importer(request)
        outcome: Any = "partial" if partial else "waited"
        if caught is not None or request.deadlock == "raised":
            outcome = "failed"
        elif failed_there and request.module is None and request.wait:
            outcome = "waited"
        record: ImportRecord = self._kinds.ImportRecord(
            kind="request",
            id=self._ids[id(request)],
            parent=self._id(request.parent),
            of=self._ids.get(id(of)),
            module=request.name,
            outcome=outcome,
            thread=self._thread(request.thread),
            start_ns=max(0, request.begin - self._recorder.started_at),
            duration_ns=request.end - request.begin if request.end else None,
            wait_ns=request.wait or None,
            importer=importer,
            names=names,
            held_by=self._held_by(of) if request.owner is not request.thread else None,
            error=_error(caught) if caught is not None else _refused(request),
            handled=self._request_handled(caught),
            # an exception has one cause, told where its load is
            cause=caught.cause if caught is not None and not caught.loads else None,
        )
        return record

    def _held_by(self, load: "Load | None") -> "dict[str, Any] | None":
        if load is None:
            return None
        thread = self._thread(load.thread).to_dict()
        thread.pop("serial", None)
        return {"thread": thread, "module": load.name}

    def _handled(self, load: "Load", caught: "Caught") -> bool | None:
        """Whether the program went on after it: an enclosing body ended well, the start-up ended, or
        its thread imported something later. None: not known yet."""
        if caught.uncaught:
            return False
        parent = load.parent
        while parent is not None and parent.thread is load.thread:
            if not parent.end:
                return None
            if parent.error is None:
                return True
            parent = parent.parent
        ready = self._facts.ready_at
        if ready is not None:
            return True if ready >= load.end else None
        if self._last_failure.get(load.thread.serial) is not caught:
            return True
        if self._facts.end == "snapshot":
            return None
        return False

    def _request_handled(self, caught: "Caught | None") -> bool | None:
        if caught is None:
            return None
        if caught.loads:
            return self._handled(caught.loads[0], caught)
        return False if caught.uncaught else None

    def _importer(
        self, record: "Load | Request"
    ) -> "tuple[Importer | None, tuple[str, ...] | None]":
        file, line = place_of(record)
        if file is None:
            return None, None
        statement, names = None, None
        if line and not file.startswith("<"):
            lines = self._lines.get(file)
            if lines is None:
                lines = self._lines[file] = (read(file) or "").splitlines()
            statement, names = at_line(lines, line, record.name)
        importer = self._kinds.Importer(
            file=file, line=line or None, module=record.importer, statement=statement
        )
        return importer, names

    def _kept(self, load: "Load") -> "Load":
        """The nearest ancestor that is in the trace."""
        while id(load) not in self._ids and load.parent is not None:
            load = load.parent
        return load

    def _id(self, load: "Load | None") -> int | None:
        return self._ids.get(id(self._kept(load))) if load is not None else None

    def _thread(self, state: "ThreadState") -> "ThreadRef":
        found = self._refs.get(state.serial)
        if found is None:
            name = state.name or thread_name(state.ident)
            found = self._kinds.ThreadRef(id=state.ident, name=name, serial=state.serial)
            self._refs[state.serial] = found
        return found

    # header --------------------------------------------------------------------------------

    def header(self, records: "Any") -> "dict[str, Any]":
        facts, recorder = self._facts, self._recorder
        header: dict[str, Any] = {
            "type": "trace",
            "schema": SCHEMA,
            "python": sys.version.split()[0],
            "implementation": sys.implementation.name,
            "platform": sys.platform,
            "pid": os.getpid(),
            "parent_pid": facts.parent_pid,
            "argv0": sys.argv[0] if getattr(sys, "argv", None) else "",
            "start": facts.epoch_ns,
            "mode": facts.mode,
            "observed": observed(facts.mode),
            "not_observed": not_observed(facts.mode),
            "versions": versions(record.origin for record in records),
            "threads": [ref.to_dict() for ref in self._refs.values()],
            "dropped": recorder.dropped,
            "end": facts.end,
        }
        if facts.ready_at is not None:
            header["ready_ns"] = facts.ready_at - recorder.started_at
            header["ready_by"] = facts.ready_by
        if facts.ready_points:
            header["ready_points"] = facts.ready_points
        if facts.stopped:
            header["stopped"] = facts.stopped  # tracing broke, and nothing is recorded from then on
        if facts.unexplained:
            header["unexplained"] = facts.unexplained
        loose = [
            caught.cause
            for caught in recorder.failures
            if caught.cause is not None and not caught.loads and caught.request is None
        ]
        if loose:
            header["failures"] = loose  # of statements that no record stands for
        return header


def _name(found: "Any") -> str | None:
    if found is None or found is type(None):
        return None
    return str(getattr(found, "__qualname__", type(found).__qualname__))


def _bytecode(load: "Load") -> "Any":
    if load.loader is None or load.adopted:
        return None
    if load.compiled:
        return "compiled"
    if load.loader in _compat.NO_BYTECODE_LOADERS or load.loader is type(None):
        return "none"
    if load.loader in (_compat.SOURCE_LOADER, _compat.SOURCELESS_LOADER):
        return "hit" if load.body else None
    return "unknown"


def _error(caught: "Caught | None", load: "Load | None" = None) -> "dict[str, Any] | None":
    """Of a load without `caught`, what was seen at its end is all there is."""
    if caught is not None:
        kind, message = caught.type, caught.message
    elif load is not None and load.error is not None:
        kind, message = load.error
    else:
        return None
    return {"type": kind} if message is None else {"type": kind, "message": message}


def _of_one_thread(request: "Request") -> bool:
    """Whether it asked another greenlet of its thread, which it cannot wait for."""
    owner = request.owner
    unwaited = request.end and not request.wait
    return bool(unwaited) and owner is not None and owner.of_thread == request.thread.of_thread


def _refused(request: "Request") -> "dict[str, Any] | None":
    return {"type": _compat.DeadlockError.__name__} if request.deadlock == "raised" else None


def versions(origins: "Any") -> dict[str, str]:
    """Distribution -> version, of those whose top-level modules were imported.

    From the folders beside the modules, not `importlib.metadata`, whose import would cost more.
    """
    tops: dict[str, set[str]] = {}
    for origin in origins:
        if not origin:
            continue
        for mark in (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}"):
            head, found, tail = origin.partition(mark)
            if found:
                top = tail.split(os.sep)[0].partition(".")[0]
                tops.setdefault(head + mark, set()).add(top.lower())
    out: dict[str, str] = {}
    for folder, names in tops.items():
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            if not entry.endswith(".dist-info"):
                continue
            name, _, version = entry[: -len(".dist-info")].rpartition("-")
            provided = {name.lower().replace("-", "_")}
            listed = read(os.path.join(folder, entry, "top_level.txt"))
            if listed:
                provided = {line.strip().lower() for line in listed.splitlines()}
            if provided & names:
                out[name] = version
    return dict(sorted(out.items()))
