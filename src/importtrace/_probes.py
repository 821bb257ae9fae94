"""The seams of `auto` and `probes` mode: module locks, and two leaf functions of importlib.

A load begins when its thread has taken the module's lock and ends when it gives it back, so the
probes of `_ModuleLock.acquire` and `.release` see begin, end, failure, wait and deadlock, in an order
that is exact for each lock: they run while it is held. None of our frames is on the stack while a
body runs, because none of these calls encloses it:

    _find_and_load                        frames during the body
        lock.acquire()                    <- probe, over before the body
        _find_and_load_unlocked           *
            _load_unlocked                *
                _init_module_attrs        <- probe: the module was found and created
                exec_module               *
                    _call_with_frames_removed   * <- replaced by its equal, which stamps the time
                        <module>          *
        lock.release()                    <- probe, after the body

Fail open: our part of a probe runs in `try`. What it raises itself stops the tracing with one line;
what a signal handler raises there is the program's, and passes.
"""

import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._bodies import Bodies
from importtrace._callers import LIMITS, FailOpen, find_importer
from importtrace._recorder import (
    ASKED,
    DEEP,
    FAILED,
    FROM_LIST,
    IMPLIED,
    NEAR,
    SLOW,
    Load,
    Recorder,
    Request,
    ThreadState,
    begin_load,
    line_table,
    place,
)
from importtrace._requests import Requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from importtrace._hooks import Hooks

_getframe = sys._getframe
_exception = sys.exception
_BOOTSTRAP = _compat.BOOTSTRAP_GLOBALS


class Probes:
    """Installed or not; `remove` puts back exactly what `place` took, where it is still ours."""

    def __init__(
        self,
        recorder: "Recorder",
        failed: "Callable[[Load, BaseException], None]",
        hooks: "Hooks",
        broken: "Callable[[BaseException], None]",
    ) -> None:
        self.recorder = recorder
        self._failed = failed
        self._hooks = hooks
        self._guard = FailOpen(broken)
        self._bodies = Bodies(recorder, self._close, self._guard)
        self._requests = Requests(recorder, self._guard, self._taken)
        self._undo: list[Callable[[], None]] = []

    def place(self) -> None:
        lock_class, acquire, release = _compat.module_lock_target()
        self._adopt_open_loads()
        self._put(lock_class, acquire, self._acquire(getattr(lock_class, acquire)))
        self._put(lock_class, release, self._release(getattr(lock_class, release)))
        self._put_function("_init_module_attrs", self._bodies.created)
        self._put_function("_call_with_frames_removed", self._bodies.called)

    def remove(self) -> None:
        self.recorder.off = True
        undo, self._undo = self._undo, []  # two threads may fail open at once
        for put_back in reversed(undo):
            put_back()
        for state in list(self.recorder.threads.values()):
            for load in state.stack:
                load.outer = load.code = None  # they would live on with the log
                self.recorder.keep(load)  # its end will not be seen
            state.stack.clear()
        self.recorder.open.clear()

    def _put(self, owner: "Any", name: str, probe: object) -> None:
        original = owner.__dict__[name]

        def undo() -> None:
            # Another tool may have wrapped ours since; then ours stays, and only forwards.
            if owner.__dict__[name] is probe:
                setattr(owner, name, original)

        setattr(owner, name, probe)
        self._undo.append(undo)

    def _put_function(self, name: str, make: "Callable[[Any], Any]") -> None:
        original = _compat.bootstrap_function(name)
        probe = make(original)

        def undo() -> None:
            if _compat.bootstrap_function(name) is probe:
                _compat.replace_bootstrap_function(name, original)

        _compat.replace_bootstrap_function(name, probe)
        self._undo.append(undo)

    def _adopt_open_loads(self) -> None:
        """`install()` in the middle of somebody's load: the open loads are the locks now held.

        Their begin was not observed; they begin with the trace.
        """
        recorder = self.recorder
        here = recorder.state()
        held = {(ident, name): lock for name, ident, lock in _compat.held_locks()}
        if not held:
            return
        others = any(ident != here.ident for ident, _ in held)
        stacks = _compat.stacks() if others else {here.ident: _getframe()}
        for ident, top in stacks.items():
            for name in _compat.loads_on_stack(top):  # outermost first
                lock = held.pop((ident, name), None)
                if lock is None or name.partition(".")[0] == "importtrace":
                    continue
                if name == "sitecustomize" and _is_ours(sys.modules.get(name)):
                    continue  # it makes room for the environment's own
                state = here if ident == here.ident else recorder.threads.get(ident)
                if state is None:
                    state = recorder.new_state(ident)
                parent = state.stack[-1] if state.stack else None
                begin = recorder.started_at + len(state.stack)  # outermost first
                load = begin_load(name, state, parent, begin, None, 0, None, None)
                load.depth = _compat.lock_depth(lock)
                if load.depth > 1:
                    load.flags |= DEEP
                load.adopted = True
                state.stack.append(load)
                recorder.open[lock] = load
                if recorder.began is not None:
                    recorder.began(load)

    # module locks --------------------------------------------------------------------------

    def _acquire(self, original: "Callable[[Any], bool]") -> "Callable[[Any], bool]":
        recorder = self.recorder
        threads = recorder.threads
        open_loads = recorder.open
        get_state = recorder.state
        depth = _compat.frames_to_importer()
        deadlock = _compat.DeadlockError
        refused = self._requests.refused
        taken = self._taken
        wait = self._requests.wait
        ours = self._guard.ours
        began = recorder.began

        def acquire(self: "Any") -> bool:
            begin = clock()
            owner = self.owner
            try:
                if owner is not None and owner != _BOOTSTRAP["_thread"].get_ident():
                    return wait(original, self, owner, begin, _getframe(1))
                result = original(self)
            except BaseException as error:
                if owner is None and type(error) is deadlock:
                    refused(self, begin, error, _getframe(1))  # taken since we looked
                # `leave` written out: at the recursion limit a call of ours would raise.
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                raise
            try:
                name = self.name
                if owner is None and name not in sys.modules and not recorder.off:
                    # A load, most likely by an import statement; if it is none after all, the
                    # release finds that nothing was searched. Written out: this is the hot path.
                    # eventlet gives importlib a `_thread` of its own, which names no greenlets; nor
                    # do plain greenlets have idents
                    who = recorder.who
                    same = _BOOTSTRAP["_thread"] is who
                    state = threads.get(self.owner if same else who.get_ident())
                    if state is None or (
                        not state.stack and getattr(recorder.local, "state", None) is not state
                    ):
                        state = get_state()  # a new thread, or one with a dead one's ident
                    stack = state.stack
                    while stack and stack[-1].end and not state.muted:
                        stack.pop()  # its release was interrupted
                        state.dropped += 1
                    try:
                        frame = _getframe(depth)
                    except ValueError:  # asked by C code, with no frame above importlib's
                        frame = _getframe(1)
                    code = frame.f_code
                    offset = frame.f_lasti
                    how = ASKED
                    parent = site = None
                    if stack:
                        parent = stack[-1]
                        importer = parent.name if code is parent.code else _asker(frame)
                    else:
                        site = state.site
                        if site is not None and site[0] is code and site[1] == offset:
                            importer = site[2]
                        else:
                            site = None
                            importer = _asker(frame)
                    if importer is None and code.co_name == "_call_with_frames_removed":
                        frame, how = _step_out(frame)
                        importer = _asker(frame)
                        code = frame.f_code
                        offset = frame.f_lasti
                    if importer is not None and not state.muted:
                        if not stack:
                            parent, state.started_in = state.started_in, None
                        load = Load()
                        load.name = name
                        load.thread = state
                        load.parent = parent
                        load.begin = begin
                        if site is not None:
                            load.where = site[3]
                            load.line = site[4]
                        elif offset < NEAR:
                            load.where = code.co_filename
                            load.line = frame.f_lineno or 0
                            if not stack:
                                state.site = code, offset, importer, load.where, load.line
                        else:
                            load.where = line_table(code)
                            load.line = offset
                        load.importer = importer
                        load.outer = _exception()
                        load.flags = how
                        load.end = load.found = load.body = 0
                        load.origin = load.loader = load.code = None
                        open_loads[self] = load
                        stack.append(load)
                        if recorder.outermost is not None:
                            recorder.outermost()
                        if began is not None:
                            began(load)
                        return result
                taken(self, begin, None, _getframe(1))
            except LIMITS:
                return result  # no call here, not even to ours()
            except BaseException as error:
                if not ours(error):
                    # The caller never enters its `with`: the lock would stay taken for ever.
                    self.release()
                    raise
            return result

        return acquire

    def _taken(self, lock: "Any", begin: int, waited: "Request | None", frame: "FrameType") -> None:
        """This thread now holds the lock. Why it wanted it is told by who called."""
        recorder = self.recorder
        if recorder.off:
            return
        state = recorder.state()
        load = recorder.open.get(lock)
        code = frame.f_code
        managed = code is _compat.LOCK_MANAGER_ENTER
        if managed:
            frame = frame.f_back  # type: ignore[assignment]  # `with` stands in a frame
            code = frame.f_code
        loads = code is _compat.FIND_AND_LOAD and lock.name not in sys.modules
        if (
            load is not None
            and (load.thread is state or recorder.shares(load.thread, state))
            and (state.muted or not loads)
        ):
            # Re-entered: the module is one that this thread is building, or a greenlet of it.
            load.depth += 1
            load.flags |= DEEP
            if not managed and (code is _compat.LOCK_UNLOCK or code is _compat.FIND_AND_LOAD):
                self._requests.met_own(lock, state, begin, load, frame)
        elif state.muted:
            pass
        elif loads or code is _compat.LOAD:
            self._begin(lock, state, begin, waited, frame)
        elif code is _compat.RELOAD:
            self._begin(lock, state, begin, waited, frame)
            recorder.open[lock].reload = True
        else:
            if waited is None:
                waited = self._requests.overtaken(lock, state, begin, frame)
            if waited is not None:
                self._requests.hand_out(waited)
                recorder.keep(waited)
                state.started_in = None

    def _begin(
        self,
        lock: "Any",
        state: "ThreadState",
        begin: int,
        waited: "Request | None",
        frame: "FrameType",
    ) -> None:
        caller, how = find_importer(frame)
        stack = state.stack
        if stack:
            parent: Load | None = stack[-1]
        else:
            parent, state.started_in = state.started_in, None
        importer = caller.f_globals.get("__name__") if caller is not None else None
        load = begin_load(
            lock.name,
            state,
            parent,
            begin,
            None,
            0,
            importer if type(importer) is str else None,
            _exception(),
        )
        if caller is not None:
            load.where, load.line = place(caller)
        load.flags = how
        if waited is not None:
            load.flags = how | SLOW
            load.wait = waited.wait
            load.holder = waited.of
            load.waited = waited
        open_loads = self.recorder.open
        # `import a.b` holds a.b's lock while it imports a, whose body may load a.b itself
        around = open_loads.get(lock)
        if around is not None:
            load.re_entered = around
            load.flags |= SLOW
            around.flags |= SLOW
        open_loads[lock] = load
        stack.append(load)
        if self.recorder.outermost is not None:
            self.recorder.outermost()
        if self.recorder.began is not None:
            self.recorder.began(load)

    def _release(self, original: "Callable[[Any], None]") -> "Callable[[Any], None]":
        recorder = self.recorder
        open_loads = recorder.open
        log = recorder.log
        kept = recorder.kept
        close = self._close
        interrupted = self._interrupted
        ours = self._guard.ours
        followed = self._hooks.followed
        loaded = self._hooks.loaded

        def release(self: "Any") -> None:
            load = None
            try:
                load = open_loads.get(self)
                if load is not None:
                    flags = load.flags
                    if flags < SLOW and load.found and _exception() is None:
                        # It succeeded, as most do: `_close` written out.
                        load.end = clock()
                        load.outer = load.code = None
                        del open_loads[self]
                        stack = load.thread.stack
                        if stack and stack[-1] is load:
                            stack.pop()
                        elif load in stack:
                            stack.remove(load)
                        if len(log) < recorder.room:
                            log.append(load)
                        else:
                            load.thread.dropped += 1
                        if kept is not None:
                            kept(load)
                    elif flags & DEEP:
                        load.depth -= 1
                        if load.depth == 1:
                            load.flags = flags & ~DEEP
                        load = None
                    else:
                        close(self, load)
            except LIMITS:
                if load is not None:  # no call here
                    load.end = load.end or load.begin  # the next load takes it off the stack
                    if self in open_loads:
                        del open_loads[self]
                load = None
            except BaseException as error:
                if not ours(error):
                    interrupted(self, load, error)
                    raise
            finally:
                original(self)
            try:
                if load is not None and followed and load.name in followed:
                    loaded(load)
            except BaseException as error:
                if not ours(error):
                    raise

        return release

    def _close(self, lock: "Any", load: Load) -> None:
        """The load ends; its lock is still held."""
        load.end = clock()
        recorder = self.recorder
        error = _exception()
        if error is not None and error is load.outer and (load.body or load.found):
            if lock.__class__ is object or lock.name in sys.modules:
                error = None  # it was being handled when the load began, and still is
        load.outer = load.code = None
        try:
            if error is not None:
                load.error = FAILED  # no call before that: it may be interrupted
                self._failed(load, error)
            elif not load.found and not load.body and not load.adopted:
                # A lock taken for something else, or (3.15) only to wait: no module was looked for.
                # Or `import a.b` whose parent's body loaded a.b itself.
                load.void = load.superseded or lock.name not in sys.modules
                if load.void and load.waited is not None:
                    self._requests.hand_out(load.waited)
                    recorder.keep(load.waited)
        finally:
            self._forget(lock, load)
            if not load.void:
                recorder.keep(load)
            elif recorder.kept is not None:
                recorder.kept(load)

    def _interrupted(self, lock: "Any", load: "Load | None", error: BaseException) -> None:
        """`release` met a signal handler's `error`: the lock is given back all the same."""
        if load is None:  # while it was being looked up
            load = self.recorder.open.get(lock)
            if load is None:
                return
            if load.flags & DEEP:
                load.depth -= 1
                if load.depth == 1:
                    load.flags &= ~DEEP
                return
        self._forget(lock, load)
        self.recorder.keep_interrupted(load, error)

    def _forget(self, lock: "Any", load: Load) -> None:
        """It is no longer open; harmless to say twice."""
        open_loads = self.recorder.open
        around = load.re_entered
        if around is not None:
            load.re_entered = None
            open_loads[lock] = around
            if load.error is None:
                around.superseded = True
        elif open_loads.get(lock) is load:
            del open_loads[lock]
        stack = load.thread.stack
        if stack and stack[-1] is load:
            stack.pop()
        elif load in stack:
            stack.remove(load)


def _step_out(frame: "FrameType") -> "tuple[FrameType, int]":
    """`find_importer` for the two everyday ways in which importlib asks by itself; else `frame`."""
    caller = frame.f_back
    code = caller.f_code if caller is not None else None
    if code is _compat.FIND_AND_LOAD_UNLOCKED:
        how = IMPLIED
    elif code is _compat.HANDLE_FROMLIST:
        how = FROM_LIST
    else:
        return frame, ASKED
    while caller is not None and caller.f_globals is _BOOTSTRAP:
        caller = caller.f_back
    return (frame, ASKED) if caller is None else (caller, how)


def _asker(frame: "FrameType") -> str | None:
    """The module whose statement this frame runs; None where it is importlib's, or has no name."""
    namespace = frame.f_globals
    if namespace is _BOOTSTRAP:
        return None
    name = namespace.get("__name__")
    return name if type(name) is str and name != "importlib" else None


def _is_ours(sitecustomize: "Any") -> bool:
    return isinstance(sitecustomize, type(sys)) and "_step_aside" in vars(sitecustomize)
