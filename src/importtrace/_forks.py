"""Module locks across `fork()`: what other threads held, and what that means in the child.

A lock that another thread held at the fork has no holder in the child, and nobody will ever give it
back. A thread there that wants it waits for ever; or, where it was given the ident of the thread that
is gone, takes the lock for its own and gets the half-built module. Each such lock object gets an
`acquire` of its own, so that imports of everything else cost what they did.
"""

import _thread
import _weakref
import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._recorder import thread_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from importtrace._recorder import Recorder
    from importtrace._stalls import Picture, Thread

# In a forked process: module -> the lock without a holder. Read by the explanation of a failure.
ORPHANS: "dict[str, Orphan]" = {}


class Held:
    """A module lock that a thread other than the forking one holds."""

    __slots__ = ("file", "ident", "line", "lock", "module", "name", "serial")

    def __init__(self, module: str, ident: int, lock: "Any") -> None:
        self.module = module
        self.ident = ident
        self.lock = _weakref.ref(lock)  # it must live no longer than without us
        self.name: str | None = None
        self.serial: int | None = None
        self.file: str | None = None
        self.line: int | None = None

    def ref(self) -> "dict[str, Any]":
        return {"id": self.ident, "name": self.name}

    def to_dict(self) -> "dict[str, Any]":
        out: dict[str, Any] = {"module": self.module, "thread": self.ref()}
        if self.line:
            out.update(file=self.file, line=self.line)
        return out


class Orphan:
    """A `Held`, seen from the child."""

    __slots__ = ("asking", "handed", "held", "message", "parent_pid")

    def __init__(self, held: "Held", parent_pid: int) -> None:
        self.held = held
        self.parent_pid = parent_pid
        self.asking: dict[int, int] = {}  # ident -> since when
        self.handed: list[dict[str, Any]] = []  # threads that were given the half-built module
        self.message = (
            f"cannot import {held.module!r}: its import lock is held by {held.name or 'a thread'} "
            f"({held.ident}), which exists only in process {parent_pid}, from which this process was "
            "forked"
        )

    def to_dict(self) -> "dict[str, Any]":
        return {**self.held.to_dict(), "pid": self.parent_pid, "message": self.message}

    def orphaned(self) -> bool:
        """Whether the lock still has no holder: nobody has put another in its place."""
        lock = self.held.lock()
        return lock is not None and lock.owner == self.held.ident


def held_elsewhere(recorder: "Recorder") -> "list[Held]":
    """In the parent, before the fork: the locks that the child will have without a holder.

    Only those of real threads: greenlets of the forking thread live on in the child.
    """
    here = sys._getframe()
    stacks = _compat.stacks()
    found = []
    for module, ident, lock in _compat.held_locks():
        top = stacks.get(ident)
        if top is None or top is here:
            continue
        held = Held(module, ident, lock)
        load = recorder.open.get(lock)
        if load is not None and load.thread.ident == ident:
            held.serial, held.name = load.thread.serial, load.thread.name
        held.name = held.name or thread_name(ident)
        held.file, held.line = _body(top, module)
        found.append(held)
    return found


def _body(frame: "FrameType | None", module: str) -> "tuple[str | None, int | None]":
    """Where the module's body stands."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == module:
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None, None


def adopt(
    held: "list[Held]",
    parent_pid: int,
    raising: bool,
    recorder: "Recorder",
    asked: "Callable[[], None]",
) -> None:
    """In the child: the locks of `held` whose holder stayed behind.

    `asked` is called when somebody wants one. Imports of our own fail in any case: the program would
    not have hung there without us.
    """
    for one in held:
        lock = one.lock()
        if lock is None or lock.owner != one.ident:
            continue  # given back between the last look and the fork
        orphan = ORPHANS[one.module] = Orphan(one, parent_pid)
        try:
            lock.acquire = _guard(orphan, raising, recorder, asked)
        except AttributeError:
            pass  # an interpreter whose locks take no attribute: the wait itself is still seen


def release() -> None:
    """Take the guards back."""
    for orphan in ORPHANS.values():
        lock = orphan.held.lock()
        if lock is not None:
            vars(lock).pop("acquire", None)
    ORPHANS.clear()


def asking() -> "dict[int, int]":
    """ident -> since when it has waited for a lock that nobody holds."""
    found: dict[int, int] = {}
    for orphan in ORPHANS.values():
        found.update(orphan.asking)
    return found


def orphan_of(module: str, picture: "Picture", thread: "Thread") -> "dict[str, Any] | None":
    """The cause of an import that waits for such a lock; None if `module` has a holder, or none is needed."""
    orphan = ORPHANS.get(module)
    if orphan is None or thread.ident not in orphan.asking or not orphan.orphaned():
        return None
    from importtrace._files import file_of, names, read
    from importtrace.analysis.facts import Failure, Files, Frame
    from importtrace.analysis.kinds import orphaned
    from importtrace.analysis.links import finish

    failure = Failure("", None, thread.ref())
    failure.orphans[module] = orphan.to_dict()
    for link in picture.chain(thread):
        body = link.get("module") != "__main__"
        failure.frames.append(
            Frame(link["file"], link.get("line", 0), link.get("module"), body, thread.ref())
        )
    ms = round((clock() - orphan.asking[thread.ident]) / 1e6, 3)
    failure.waits = [
        {"thread": thread.ref(), "for": module, "held_by": orphan.held.ref(), "ms": ms}
    ]
    files = Files(read, names, file_of)
    return finish(orphaned(failure, files, module), failure, files)


def _guard(
    orphan: "Orphan", raising: bool, recorder: "Recorder", asked: "Callable[[], None]"
) -> "Callable[[], bool]":
    reference = orphan.held.lock
    ident = _thread
    module, message = orphan.held.module, orphan.message
    waiting, handed_out = orphan.asking, _handed_out
    deadlock = _compat.DeadlockError
    now = clock

    # With importlib's globals, as the probes' stand-ins: its frame is importlib's to whoever looks.
    def acquire() -> bool:
        lock: Any = reference()
        me = ident.get_ident()
        waiting[me] = now()
        try:
            mine = lock.owner == me
            if (raising or recorder.state().muted) and lock.owner == orphan.held.ident:
                raise ImportError(message, name=module)
            if mine:
                handed_out(orphan, me)
            asked()
            try:
                return bool(type(lock).acquire(lock))
            except deadlock:
                handed_out(orphan, me)
                raise
        finally:
            waiting.pop(me, None)

    guard = _compat.stand_in(acquire, vars(_compat.ModuleLock)["__init__"])
    guard.__code__ = guard.__code__.replace(
        co_name="acquire", co_qualname=f"{_compat.ModuleLock.__qualname__}.acquire"
    )
    return guard


def handed_out() -> "list[tuple[str, dict[str, Any], str]]":
    """(module, thread, what happened), of each hand-out that nobody was told of yet."""
    found = []
    for module, orphan in ORPHANS.copy().items():
        for thread in orphan.handed:
            if not thread["told"]:
                thread["told"] = True
                held = orphan.held
                found.append(
                    (
                        module,
                        {"id": thread["id"], "name": thread["name"]},
                        f"{module} was handed out half-built and stays so: thread {held.name} was "
                        f"importing it in process {orphan.parent_pid} when this process was forked "
                        "from that one, and does not exist here",
                    )
                )
    return found


def _handed_out(orphan: "Orphan", ident: int) -> None:
    """A thread has the dead one's ident, or the deadlock detector saw a wait of the dead one's."""
    if len(orphan.handed) < 100:
        orphan.handed.append({"id": ident, "name": thread_name(ident), "told": False})
