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

from __future__ import annotations

import _thread
import _weakref
import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._recorder import VOID, Load, Recorder, Request, ThreadState, resolve_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from importtrace._hooks import Hooks

_getframe = sys._getframe
_exception = sys.exception


class Probes:
    """Installed or not; `remove` puts back exactly what `place` took, where it is still ours."""

    def __init__(
        self,
        recorder: Recorder,
        failed: Callable[[Load, BaseException], None],
        hooks: Hooks,
        broken: Callable[[BaseException], None],
    ) -> None:
        self.recorder = recorder
        self._failed = failed
        self._hooks = hooks
        self._broken = broken
        self._undo: list[Callable[[], None]] = []

    def place(self) -> None:
        lock_class, acquire, release = _compat.module_lock_target()
        self._adopt_open_loads()
        self._put(lock_class, acquire, self._acquire(getattr(lock_class, acquire)))
        self._put(lock_class, release, self._release(getattr(lock_class, release)))
        self._put_function("_init_module_attrs", self._created)
        self._put_function("_call_with_frames_removed", self._called)

    def remove(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _put(self, owner: Any, name: str, probe: object) -> None:
        original = owner.__dict__[name]

        def undo() -> None:
            # Another tool may have wrapped ours since; then ours stays, and only forwards.
            if owner.__dict__[name] is probe:
                setattr(owner, name, original)

        setattr(owner, name, probe)
        self._undo.append(undo)

    def _put_function(self, name: str, make: Callable[[Any], Any]) -> None:
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
        for ident, top in sys._current_frames().items():
            for name in _compat.loads_on_stack(top):  # outermost first
                lock = held.pop((ident, name), None)
                if lock is None or name.partition(".")[0] == "importtrace":
                    continue
                state = here if ident == here.ident else recorder.threads.get(ident)
                if state is None:
                    state = recorder.new_state(ident)
                parent = state.stack[-1] if state.stack else None
                load = Load(name, state, parent, recorder.started_at, None, 0, None, None)
                load.depth = _compat.lock_depth(lock)
                load.adopted = True
                state.stack.append(load)
                recorder.open[lock] = load
                recorder.keep_load(load)

    # module locks --------------------------------------------------------------------------

    def _acquire(self, original: Callable[[Any], bool]) -> Callable[[Any], bool]:
        recorder = self.recorder
        local = recorder.local
        get_state = recorder.state
        get_ident = _thread
        taken = self._taken
        wait = self._wait
        ours = self._ours

        def acquire(self: Any) -> bool:
            try:
                try:
                    state = local.state
                    if state.ident != get_ident.get_ident():
                        state = get_state()
                except AttributeError:
                    state = get_state()
                if state.muted:
                    plain = True
                else:
                    plain = False
                    owner = self.owner
                    begin = clock()
            except BaseException as error:
                if not ours(error):
                    raise
                plain = True
            try:
                if plain:
                    return original(self)
                if owner is not None and owner != state.ident:
                    return wait(original, self, state, owner, begin, _getframe(1))
                result = original(self)
            except BaseException as error:
                # Our frame leaves the traceback, which then reads as without us; a bare `raise`
                # does not add it again.
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                raise
            try:
                taken(self, state, begin, None, _getframe(1))
            except BaseException as error:
                if not ours(error):
                    # The caller never enters its `with`: the lock would stay taken for ever.
                    self.release()
                    raise
            return result

        return acquire

    def _wait(
        self,
        original: Callable[[Any], bool],
        lock: Any,
        state: ThreadState,
        owner: int,
        begin: int,
        frame: FrameType,
    ) -> bool:
        """The lock is another thread's: wait for it, or learn that waiting would be a deadlock."""
        request: Request | None = None
        try:
            request = self._request(lock, state, begin, frame)
            request.of = self.recorder.open.get(lock)
            request.owner = (
                request.of.thread if request.of is not None else self.recorder.threads.get(owner)
            )
            state.waiting = request
        except BaseException as error:
            if not self._ours(error):
                raise
        try:
            result = original(lock)
        except BaseException as error:
            if request is not None:
                try:
                    self._not_taken(lock, state, request, error, frame)
                except BaseException as second:
                    if not self._ours(second):
                        raise
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        finally:
            state.waiting = None
        try:
            if request is not None:
                request.end = clock()
                request.wait = request.end - begin
            self._taken(lock, state, begin, request, frame)
        except BaseException as error:
            if not self._ours(error):
                lock.release()
                raise
        return result

    def _not_taken(
        self, lock: Any, state: ThreadState, request: Request, error: BaseException, frame: FrameType
    ) -> None:
        request.end = clock()
        request.wait = request.end - request.begin
        if not isinstance(error, _compat.DeadlockError):
            return  # a signal interrupted the wait
        code = frame.f_code
        accepted = code is _compat.LOCK_UNLOCK or (
            # 3.15 takes the lock in _find_and_load itself, and accepts what is there
            code is _compat.FIND_AND_LOAD and lock.name in sys.modules
        )
        request.deadlock = "accepted" if accepted else "raised"
        # The detector has taken our own wait off its table again.
        own = (state, lock.name, request.owner, request.wait)
        request.graph = [own, *self._wait_graph()]
        self._hand_out(request)
        self.recorder.keep_request(request)

    def _wait_graph(self) -> list[tuple[Any, ...]]:
        """(waiting thread, module, holding thread, ns it has waited) as the detector saw it."""
        threads = self.recorder.threads
        now = clock()
        get_ident = _thread.get_ident
        graph = []
        for ident, name, owner in _compat.blocked_threads():
            waiter = threads.get(ident)
            holder = threads.get(owner) if owner is not None else None
            if waiter is not None and holder is not None and ident != get_ident():
                waiting = waiter.waiting
                since = waiting.begin if waiting is not None and waiting.name == name else now
                graph.append((waiter, name, holder, now - since))
        return graph

    def _taken(
        self,
        lock: Any,
        state: ThreadState,
        begin: int,
        waited: Request | None,
        frame: FrameType,
    ) -> None:
        """This thread now holds the lock. Why it wanted it is told by who called."""
        load = self.recorder.open.get(lock)
        code = frame.f_code
        managed = code is _compat.LOCK_MANAGER_ENTER
        if managed:
            frame = frame.f_back  # type: ignore[assignment]
            code = frame.f_code
        own = load is not None and load.thread is state
        if load is not None and own and (
            code is not _compat.FIND_AND_LOAD or lock.name in sys.modules
        ):
            # Re-entered: the module is one that this thread is building.
            load.depth += 1
            if not managed and (code is _compat.LOCK_UNLOCK or code is _compat.FIND_AND_LOAD):
                self._met_own(lock, state, begin, load, frame)
            return
        if code is _compat.FIND_AND_LOAD or code is _compat.LOAD:
            if lock.name not in sys.modules or code is _compat.LOAD:
                self._begin(lock, state, begin, waited, frame)
                return
        elif code is _compat.RELOAD:
            self._begin(lock, state, begin, waited, frame)
            self.recorder.open[lock].reload = True
            return
        if waited is not None:
            self._hand_out(waited)
            self.recorder.keep_request(waited)

    def _begin(
        self, lock: Any, state: ThreadState, begin: int, waited: Request | None, frame: FrameType
    ) -> None:
        caller, how = _importer(frame)
        stack = state.stack
        if stack:
            parent: Load | None = stack[-1]
            pending = stack[-1].pending
            if pending is None:
                pending = stack[-1].pending = []
        else:
            parent, state.started_in = state.started_in, None
            pending = state.pending
        if caller is None:
            load = Load(lock.name, state, parent, begin, None, 0, None, _exception())
        else:
            importer = caller.f_globals.get("__name__")
            load = Load(
                lock.name,
                state,
                parent,
                begin,
                caller.f_code,
                caller.f_lasti,
                importer if type(importer) is str else None,
                _exception(),
            )
            pending.append(load)
            if len(pending) > 255:
                _resolve(pending)
        load.implied = how == IMPLIED
        load.from_list = how == FROM_LIST
        if waited is not None:
            load.wait = waited.wait
            load.holder = waited.of
        open_loads = self.recorder.open
        # `import a.b` holds a.b's lock while it imports a, whose body may load a.b itself
        load.re_entered = open_loads.get(lock)
        stack.append(load)
        open_loads[lock] = load
        self.recorder.keep_load(load)

    def _request(self, lock: Any, state: ThreadState, begin: int, frame: FrameType) -> Request:
        stack = state.stack
        request = Request(lock.name, state, stack[-1] if stack else None, begin)
        caller, _ = _importer(frame)
        if caller is not None:
            importer = caller.f_globals.get("__name__")
            request.importer = importer if type(importer) is str else None
            request.where = caller.f_code
            request.where_code = id(caller.f_code)
            request.line = request.lasti = caller.f_lasti
            request.frame = id(caller)
            pending = stack[-1].pending if stack else state.pending
            if pending is None:
                pending = stack[-1].pending = []
            pending.append(request)
        return request

    def _met_own(
        self, lock: Any, state: ThreadState, begin: int, load: Load, frame: FrameType
    ) -> None:
        """A request for a module that this same thread is building: a cycle, nearly always harmless."""
        caller, how = _importer(frame)
        name = lock.name
        importer = caller.f_globals.get("__name__") if caller is not None else None
        if (
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
        request.owner = state
        self._hand_out(request)
        self.recorder.keep_request(request)

    def _hand_out(self, request: Request) -> None:
        module = sys.modules.get(request.name)
        try:
            request.module = _weakref.ref(module) if module is not None else None
        except TypeError:
            pass  # not every object in sys.modules can be referenced weakly

    def _release(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        open_loads = self.recorder.open
        close = self._close
        ours = self._ours
        followed = self._hooks.followed
        loaded = self._hooks.loaded

        def release(self: Any) -> None:
            load = None
            try:
                load = open_loads.get(self)
                if load is not None:
                    if load.depth > 1:
                        load.depth -= 1
                        load = None
                    else:
                        close(self, load)
            except BaseException as error:
                if not ours(error):
                    raise
            finally:
                original(self)
            if load is not None and load.name in followed:
                try:
                    loaded(load)
                except BaseException as error:
                    if not ours(error):
                        raise

        return release

    def _close(self, lock: Any, load: Load) -> None:
        load.end = clock()
        open_loads = self.recorder.open
        error = _exception()
        if error is not None and error is load.outer:
            error = None
        load.outer = None
        if (
            error is None
            and not load.found
            and not load.body
            and not load.adopted
            and lock.name not in sys.modules
        ):
            # 3.15 takes the lock once to wait and once to load: the first was only a wait.
            load.stored = VOID
        if load.pending:
            _resolve(load.pending)
            load.pending = None
        try:
            if error is not None:
                self._failed(load, error)
        finally:
            if load.re_entered is not None:
                open_loads[lock] = load.re_entered
                load.re_entered = None
            else:
                open_loads.pop(lock, None)
            stack = load.thread.stack
            if stack and stack[-1] is load:
                stack.pop()
            elif load in stack:
                stack.remove(load)

    # found, created, executed --------------------------------------------------------------

    def _created(self, original: Any) -> Any:
        """`_init_module_attrs(spec, module)`: called once the loader has made the module."""
        # A stand-in has importlib's globals: what is ours reaches it through its closure.
        local = self.recorder.local
        ours = self._ours
        now = clock
        spec_type = _compat.bootstrap_function("ModuleSpec")

        def _init_module_attrs(spec: Any, module: Any, *, override: bool = False) -> Any:
            try:
                state = getattr(local, "state", None)
                if state is not None and state.stack and not state.muted:
                    load = state.stack[-1]
                    # A spec of another type may run the program's code when it is read.
                    if not load.found and type(spec) is spec_type and load.name == spec.name:
                        load.found = load.create or now()
                        load.origin = spec.origin
                        loader = spec.loader
                        load.loader = loader if type(loader) is type else type(loader)
            except BaseException as error:
                if not ours(error):
                    raise
            return original(spec, module, override=override)

        return _compat.stand_in(_init_module_attrs, original)  # type: ignore[arg-type]

    def _called(self, original: Any) -> Any:
        """`_call_with_frames_removed(f, …)`: the frame through which importlib leaves itself."""
        import _imp

        local = self.recorder.local
        body = self._body
        ours = self._ours
        now = clock
        exec_, compile_ = exec, compile
        exec_builtin, exec_dynamic = _imp.exec_builtin, _imp.exec_dynamic
        create_builtin, create_dynamic = _imp.create_builtin, _imp.create_dynamic

        def _call_with_frames_removed(f: Any, *args: Any, **kwds: Any) -> Any:
            manual = None
            try:
                state = getattr(local, "state", None)
                if state is not None and not state.muted:
                    if f is exec_:
                        manual = body(state, args)
                    elif state.stack:
                        load = state.stack[-1]
                        if f is compile_:
                            load.compiled = True
                        elif f is create_builtin or f is create_dynamic:
                            load.create = now()
                        elif (f is exec_builtin or f is exec_dynamic) and not load.body:
                            load.body = now()
            except BaseException as error:
                if not ours(error):
                    raise
            if manual is not None:
                try:
                    return f(*args, **kwds)
                finally:
                    manual()
            return f(*args, **kwds)

        return _compat.stand_in(_call_with_frames_removed, original)  # type: ignore[arg-type]

    def _body(self, state: ThreadState, args: tuple[Any, ...]) -> Callable[[], None] | None:
        """A body starts. Normally that of the innermost load; else one that no lock announced:
        `spec.loader.exec_module(module)` by hand, a LazyLoader's module touched for the first time."""
        stack = state.stack
        load = stack[-1] if stack else None
        namespace = args[1] if len(args) > 1 else None
        name = namespace.get("__name__") if type(namespace) is dict else None
        if load is not None and not load.body and load.name == name:
            load.body = clock()
            return None
        if type(name) is not str or type(namespace) is not dict:
            return None
        return self._manual(state, name, namespace)

    def _manual(
        self, state: ThreadState, name: str, namespace: dict[str, Any]
    ) -> Callable[[], None]:
        frame: FrameType = _getframe(3)
        caller, _ = _importer(frame)
        lock = object()  # no module lock is held: a key of its own
        begin = clock()
        importer = caller.f_globals.get("__name__") if caller is not None else None
        parent = state.stack[-1] if state.stack else None
        load = Load(
            name,
            state,
            parent,
            begin,
            caller.f_code if caller is not None else None,
            caller.f_lasti if caller is not None else 0,
            importer if type(importer) is str else None,
            _exception(),
        )
        load.found = load.body = begin
        spec = namespace.get("__spec__")
        load.origin = getattr(spec, "origin", None)
        load.loader = type(getattr(spec, "loader", None))
        _resolve([load])
        state.stack.append(load)
        self.recorder.open[lock] = load
        self.recorder.keep_load(load)

        def done() -> None:
            try:
                # The body's own failure is the exception in flight; see _close.
                self._close(lock, load)
            except BaseException as error:
                if not self._ours(error):
                    raise

        return done

    # fail open -----------------------------------------------------------------------------

    def _ours(self, error: BaseException) -> bool:
        """Whether `error` was raised by our own code; if so, tracing has been stopped.

        A signal handler can raise in any frame, ours too; that exception is the program's and the
        caller raises it on.
        """
        tb = error.__traceback__
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if tb is None or not isinstance(error, Exception):
            return False
        namespace = tb.tb_frame.f_globals
        stand_in = namespace is _BOOTSTRAP and tb.tb_frame.f_code.co_name in _STAND_INS
        if not stand_in and not str(namespace.get("__name__")).startswith("importtrace."):
            return False
        if not isinstance(error, RecursionError | MemoryError):
            self._broken(error)
        # The program stands at a limit: this record is lost, the next ones need not be.
        return True


_BOOTSTRAP = _compat.BOOTSTRAP_GLOBALS
_EXTERNAL = _compat.EXTERNAL_GLOBALS
_STAND_INS = ("_init_module_attrs", "_call_with_frames_removed")


_IMPORTLIB = ("importlib", "importlib.util")


ASKED, IMPLIED, FROM_LIST = 0, 1, 2


def _importer(frame: FrameType | None) -> tuple[FrameType | None, int]:
    """The frame that asked for the module, and how: IMPLIED is importlib's own wish for a parent
    package, FROM_LIST its try whether a name of a `from` list is a submodule."""
    how = ASKED
    called = decided = False
    while frame is not None:
        namespace = frame.f_globals
        if namespace is _BOOTSTRAP:
            code = frame.f_code
            if called and not decided:
                # the frame below decides; importlib.machinery's create_module also calls that way
                decided = True
                if code is _compat.FIND_AND_LOAD_UNLOCKED or code is _compat.RESOLVE_PARENTS:
                    how = IMPLIED
                elif code is _compat.HANDLE_FROMLIST:
                    how = FROM_LIST
            called = code.co_name == "_call_with_frames_removed"
        elif namespace is _EXTERNAL or namespace.get("__name__") in _IMPORTLIB:
            decided = decided or called
        else:
            break
        frame = frame.f_back
    return frame, how


def _resolve(pending: list[Load | Request]) -> None:
    resolve_lines(pending)
    pending.clear()
