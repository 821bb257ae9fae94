"""ImportRecords and a trace's header out of what a spool file says.

The same rules as for a trace that the process itself delivers, in as far as the file tells what they
need; what it does not tell is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace import _spool_format as layout
from importtrace.records import SCHEMA, Importer, ImportRecord, ThreadRef, not_observed, observed
from importtrace.spool.known import Load, Request

if TYPE_CHECKING:
    from importtrace.spool.events import Key
    from importtrace.spool.known import Known
    from importtrace.spool.sources import Sources

_NO_BYTECODE = ("ExtensionFileLoader", "NamespaceLoader", "BuiltinImporter", "FrozenImporter")
_BYTECODE = ("SourceFileLoader", "SourcelessFileLoader")


class Builder:
    """Values as of now: make a new one after new events. ``over`` says that no more will come."""

    def __init__(self, known: Known, started_at: int, sources: Sources, *, over: bool) -> None:
        self._known = known
        self._started_at = started_at
        self._sources = sources
        self._over = over
        self._children: dict[Key, list[Load]] = {}
        self._last_failure: dict[int, tuple[int, Key]] = {}  # serial -> when, which failure
        for load in known.loads.values():
            above = self._kept(load.parent)
            if above is not None and above.serial == load.serial:
                self._children.setdefault(above.key, []).append(load)
            if load.error is not None:
                last = self._last_failure.get(load.serial, (-1, (0, 0)))
                self._last_failure[load.serial] = max(last, (load.begin, load.error[0]))

    def record(self, found: Load | Request) -> ImportRecord:
        return self._load(found) if isinstance(found, Load) else self._request(found)

    def thread(self, serial: int) -> ThreadRef:
        ident, name = self._known.threads.get(serial, (0, None))
        return ThreadRef(ident, name, serial)

    def _load(self, load: Load) -> ImportRecord:
        children = self._children.get(load.key, ())
        adopted = bool(load.flags & layout.ADOPTED)
        duration = load.end - load.begin if load.end else None
        inner = sum(child.end - child.begin for child in children if child.end)
        find = load_ns = execute = None
        if not adopted and (load.found or load.failed):
            since = load.begin + load.wait
            until = load.found or load.end
            before = sum(c.end - c.begin for c in children if c.end and since <= c.begin < until)
            if until:
                find = max(0, until - since - before)
        if load.body and not adopted:
            if load.body >= load.found > 0:
                load_ns = load.body - load.found
            if load.end:
                execute = max(0, load.end - load.body)
        outcome: Any = None
        if load.failed:
            outcome = "failed"
        elif load.end:
            outcome = "waited" if load.wait else "ok"
        importer, names = self._importer(load)
        holder = self._kept(load.holder)
        return ImportRecord(
            kind="load",
            id=load.id or load.order,
            parent=self._id(load.parent),
            module=load.name,
            outcome=outcome,
            thread=self.thread(load.serial),
            start_ns=max(0, load.begin - self._started_at),
            duration_ns=duration,
            find_ns=find,
            load_ns=load_ns,
            exec_ns=execute,
            wait_ns=load.wait or None,
            self_ns=max(0, duration - inner) if duration is not None else None,
            importer=importer,
            names=names,
            held_by=self._held_by(holder),
            of=holder.id if holder is not None else None,
            origin=load.origin or None,
            loader=load.loader or None,
            bytecode=_bytecode(load),
            error=_error(load),
            handled=self._handled(load) if load.error is not None else None,
            cause=self._cause(load),
            implied=bool(load.flags & layout.IMPLIED) or None,
            reload=bool(load.flags & layout.RELOAD) or None,
            harmless_requests=load.harmless or None,
        )

    def _request(self, request: Request) -> ImportRecord:
        of = self._kept(request.of)
        own = request.owner == request.serial
        outcome: Any = "waited"
        if request.deadlock == "raised":
            outcome = "failed"
        elif request.deadlock == "accepted" or (own and request.end):
            outcome = "partial"
        elif not request.end:
            outcome = None
        importer, names = self._importer(request)
        return ImportRecord(
            kind="request",
            id=request.id,
            parent=self._id(request.parent),
            of=of.id if of is not None else None,
            module=request.name,
            outcome=outcome,
            thread=self.thread(request.serial),
            start_ns=max(0, request.begin - self._started_at),
            duration_ns=max(0, request.end - request.begin) if request.end else None,
            wait_ns=request.wait or None,
            importer=importer,
            names=names,
            held_by=self._held_by(of) if not own else None,
            error={"type": "_DeadlockError"} if request.deadlock == "raised" else None,
        )

    def _importer(self, record: Load | Request) -> tuple[Importer | None, tuple[str, ...] | None]:
        file, module = record.file, record.importer
        if isinstance(record, Load) and record.flags & layout.INSIDE:
            parent = self._known.loads.get(record.parent)
            if parent is not None:
                file, module = parent.origin, parent.name
        if not file and not module:
            return None, None
        line = record.line or None
        statement, names = self._sources.statement(file, record.line, record.name)
        return Importer(file or None, line if file else None, module or None, statement), names

    def _kept(self, key: Key) -> Load | None:
        """The load of that key, or the nearest around it that was one."""
        load = self._known.loads.get(key)
        if load is not None and (load.void or not load.id):
            return next(
                (one for one in self._known.ancestors(load) if one.id and not one.void), None
            )
        return load

    def _id(self, key: Key) -> int | None:
        load = self._kept(key)
        return load.id if load is not None else None

    def _held_by(self, holder: Load | None) -> dict[str, Any] | None:
        if holder is None:
            return None
        thread = self.thread(holder.serial).to_dict()
        thread.pop("serial", None)
        return {"thread": thread, "module": holder.name}

    def _cause(self, load: Load) -> dict[str, Any] | None:
        """An exception has one cause, told where it left the first load."""
        if load.error is None or load.error[0] != load.key:
            return None
        return self._known.causes.get(load.key)

    def _handled(self, load: Load) -> bool | None:
        """Whether the program went on after it; None: not known. As `_snapshot` has it."""
        assert load.error is not None
        which = load.error[0]
        if which in self._known.uncaught:
            return False
        first = self._known.loads.get(which, load)
        for around in self._known.ancestors(first):
            if not around.end:
                return None
            if not around.failed:
                return True
        if self._known.ready is not None:
            return True if self._known.ready[0] >= first.end else None
        if self._last_failure.get(load.serial, (0, which))[1] != which:
            return True
        return False if self._over else None


def _error(load: Load) -> dict[str, Any] | None:
    if load.error is None:
        return None
    _, kind, message = load.error
    return {"type": kind} if message is None else {"type": kind, "message": message}


def _bytecode(load: Load) -> Any:
    if not load.loader or load.flags & layout.ADOPTED:
        return None
    if load.flags & layout.COMPILED:
        return "compiled"
    if load.loader in _NO_BYTECODE:
        return "none"
    if load.loader in _BYTECODE:
        return "hit" if load.body else None
    return "unknown"


def header(known: Known, facts: dict[str, Any], dropped: int, end: str) -> dict[str, Any]:
    """The first line of the trace; ``end`` holds where the process has not said how it ended."""
    mode = str(facts.get("mode", "auto"))
    found: dict[str, Any] = {
        "type": "trace",
        "schema": SCHEMA,
        **{
            key: facts[key]
            for key in ("python", "implementation", "platform", "pid", "parent_pid", "argv0")
            if isinstance(facts.get(key), str | int)
        },
        **{
            key: facts[key]
            for key in ("host", "resource", "traceparent", "tracestate")
            if isinstance(facts.get(key), str | dict)
        },
        "start": facts["start"],
        "mode": mode,
        "observed": observed(mode),
        "not_observed": [
            *not_observed(mode),
            "loads of mmap, fcntl and _struct, which the spool uses",
        ],
        "threads": [
            ThreadRef(ident, name, serial).to_dict()
            for serial, (ident, name) in sorted(known.threads.items())
        ],
        "dropped": dropped,
        "end": end,
    }
    if known.end is not None:
        found["end"], argv0, why = known.end
        found["argv0"] = argv0 or found.get("argv0", "")
        if why:
            found["stopped"] = why
    if known.stalls:
        found["stalls"] = list(known.stalls.values())
    if known.ready is not None:
        found["ready_ns"] = max(0, known.ready[0] - facts["started_at"])
        found["ready_by"] = known.ready[1]
    parent = facts.get("parent_trace")
    if isinstance(parent, dict) and all(type(parent.get(key)) is int for key in ("pid", "start")):
        found["parent_trace"] = {"pid": parent["pid"], "start": parent["start"]}
    if known.loose:
        found["failures"] = list(known.loose)
    return found
