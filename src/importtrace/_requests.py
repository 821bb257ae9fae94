"""Requests: a thread asks for a module that another load, its own or another thread's, has not finished.

What `_probes` sees of it: a wait for another thread's lock, CPython's word that waiting would be a
deadlock, and a lock that its holder takes once more. Loads are `_probes`' own.
"""

import _weakref
import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._callers import LIMITS, FailOpen, find_importer, leave
from importtrace._recorder import IMPLIED, Load, Recorder, Request, ThreadState, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Taken = Callable[[Any, int, "Request | None", FrameType], None]


class Requests:
    """`taken(lock, begin, waited, frame)` is called when a wait has ended with the lock."""

    def __init__(self, recorder: Recorder, guard: FailOpen, taken: "Taken") -> None:
        self.recorder = recorder
        self._guard = guard
        self._taken = taken

    def wait(
        self,
        original: "Callable[[Any], bool]",
        lock: "Any",
        owner: int,
        begin: int,
        frame: "FrameType",
    ) -> bool:
        """The lock is another thread's: wait for it, or learn that waiting would be a deadlock."""
        state: ThreadState | None = None
        request: Request | None = None
        try:
            state = self.recorder.state()
            if not state.muted and not self.recorder.off:
                request = self._request(lock, state, begin, frame)
                request.of = self.recorder.open.get(lock)
                request.owner = (
                    request.of.thread
                    if request.of is not None
                    else self.recorder.threads.get(owner)
                )
                state.waiting = request
                if self.recorder.outermost is not None:
                    self.recorder.outermost()
                if self.recorder.began is not None:
                    self.recorder.began(request)
        except BaseException as error:
            if not self._guard.ours(error):
                raise
        try:
            result = original(lock)
        except BaseException as error:
            if request is not None and state is not None:
                try:
                    self._not_taken(lock, state, request, error, frame)
                except BaseException as second:
                    if not self._guard.ours(second):
                        raise
            leave(error)
            raise
        finally:
            if state is not None:
                state.waiting = None
        try:
            if request is not None:
                request.end = clock()
                request.wait = request.end - begin
            self._taken(lock, begin, request, frame)
        except LIMITS:
            return result  # no call here, not even to ours()
        except BaseException as error:
            if not self._guard.ours(error):
                lock.release()
                raise
        return result

    def overtaken(
        self, lock: "Any", state: "ThreadState", begin: int, frame: "FrameType"
    ) -> "Request | None":
        """The lock was free when we looked, and was taken before CPython did: a load that has ended
        since we asked is what was waited for."""
        for load in reversed(self.recorder.log):
            if load.end < begin:
                return None  # the log is in the order in which things end
            if load.name == lock.name and type(load) is Load and load.thread is not state:
                request = self._request(lock, state, begin, frame)
                request.of = load
                request.owner = load.thread
                request.end = clock()
                request.wait = request.end - begin
                return request
        return None

    def refused(self, lock: "Any", begin: int, error: BaseException, frame: "FrameType") -> None:
        """A deadlock over a lock that was free when we looked at its owner."""
        try:
            state = self.recorder.state()
            if state.muted or self.recorder.off:
                return
            request = self._request(lock, state, begin, frame)
            request.of = self.recorder.open.get(lock)
            if request.of is not None:
                request.owner = request.of.thread
            self._not_taken(lock, state, request, error, frame)
        except BaseException as second:
            if not self._guard.ours(second):
                raise

    def _not_taken(
        self,
        lock: "Any",
        state: "ThreadState",
        request: "Request",
        error: BaseException,
        frame: "FrameType",
    ) -> None:
        request.end = clock()
        request.wait = request.end - request.begin
        if type(error) is not _compat.DeadlockError:
            return  # a signal interrupted the wait
        code = frame.f_code
        accepted = code is _compat.LOCK_UNLOCK or (
            # 3.15 takes the lock in _find_and_load itself, and accepts what is there
            code is _compat.FIND_AND_LOAD and lock.name in sys.modules
        )
        request.deadlock = "accepted" if accepted else "raised"
        # The detector has taken our own wait off its table again.
        own = (state, lock.name, request.owner, request.wait)
        request.graph = [own, *self._graph()]
        self.hand_out(request)
        self.recorder.keep(request)
        state.started_in = None

    def _graph(self) -> "list[tuple[Any, ...]]":
        """(waiting thread, module, holding thread, ns it has waited) as the detector saw it."""
        threads = self.recorder.threads
        now = clock()
        get_ident = _compat.BOOTSTRAP_GLOBALS["_thread"].get_ident  # the table is importlib's
        graph = []
        for ident, name, owner in _compat.blocked_threads():
            waiter = threads.get(ident)
            holder = threads.get(owner) if owner is not None else None
            if waiter is not None and holder is not None and ident != get_ident():
                waiting = waiter.waiting
                since = waiting.begin if waiting is not None and waiting.name == name else now
                graph.append((waiter, name, holder, now - since))
        return graph

    def _request(
        self, lock: "Any", state: "ThreadState", begin: int, frame: "FrameType"
    ) -> "Request":
        stack = state.stack
        # A thread's first wait belongs to the load that started the thread, as its first load does.
        request = Request(lock.name, state, stack[-1] if stack else state.started_in, begin)
        caller, _ = find_importer(frame)
        if caller is not None:
            importer = caller.f_globals.get("__name__")
            request.importer = importer if type(importer) is str else None
            request.where_code = id(caller.f_code)
            request.frame = id(caller)
            request.where, request.line = place(caller)
        return request

    def met_own(
        self, lock: "Any", state: "ThreadState", begin: int, load: "Load", frame: "FrameType"
    ) -> None:
        """A request for a module that this same thread is building: a cycle, nearly always harmless."""
        caller, how = find_importer(frame)
        name = lock.name
        importer = caller.f_globals.get("__name__") if caller is not None else None
        if load.thread is state and (
            how == IMPLIED
            or type(importer) is not str
            or importer == name
            or importer.startswith(name + ".")
        ):
            load.harmless += 1
            return
        request = self._request(lock, state, begin, frame)
        request.end = clock()
        request.of = load
        request.owner = load.thread
        self.hand_out(request)
        self.recorder.keep(request)

    def hand_out(self, request: "Request") -> None:
        module = sys.modules.get(request.name)
        try:
            request.module = _weakref.ref(module) if module is not None else None
        except TypeError:
            request.module = None  # not every object in sys.modules can be referenced weakly
