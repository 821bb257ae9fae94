"""Probes of two functions of importlib: where a module is created, and where its body starts.

Each is replaced by its equal, with importlib's name, file and globals: in a traceback and on the
stack it is what it replaces. Bodies that no lock announces are recorded here, too.
"""

import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._callers import LIMITS, FailOpen, find_importer
from importtrace._recorder import COMPILED, Load, Recorder, begin_load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_getframe = sys._getframe
_exception = sys.exception


class Bodies:
    """Makes the stand-ins; `close` ends a load that no lock announced."""

    def __init__(
        self, recorder: Recorder, close: "Callable[[Any, Load], None]", guard: FailOpen
    ) -> None:
        self.recorder = recorder
        self._close = close
        self._guard = guard

    # A stand-in has importlib's globals: what is ours reaches it through its closure.

    def created(self, original: "Any") -> "Any":
        """`_init_module_attrs(spec, module)`: called once the loader has made the module."""
        recorder = self.recorder
        threads = recorder.threads
        limits = LIMITS
        ours = self._guard.ours
        now = clock
        spec_type = _compat.bootstrap_function("ModuleSpec")
        uses_cached = "cached" in original.__code__.co_names

        def _init_module_attrs(spec: "Any", module: "Any", *, override: bool = False) -> "Any":
            try:
                try:
                    load = threads[recorder.who.get_ident()].stack[-1]
                except (KeyError, IndexError):
                    load = None
                # A spec of another type may run the program's code when it is read.
                if (
                    load is not None
                    and load.loader is None
                    and type(spec) is spec_type
                    and spec.name == load.name
                ):
                    if not load.found:
                        load.found = now()
                    load.origin = spec.origin
                    loader = spec.loader
                    load.loader = loader if type(loader) is type else type(loader)
            except limits:
                pass  # the program stands at the limit; no call here, not even to ours()
            except BaseException as error:
                if not ours(error):
                    raise
            if uses_cached and type(spec) is spec_type:
                # `original` reads this too, and it is the deepest call of all below it. Read here it
                # is as deep as without us, and `original` gets it from the spec: near the recursion
                # limit the longest chain of imports stays as long as it was.
                spec.cached  # noqa: B018  # its value is not wanted, that it is worked out is
            if override:
                return original(spec, module, override=True)
            return original(spec, module)

        return _compat.stand_in(_init_module_attrs, original)

    def called(self, original: "Any") -> "Any":
        """`_call_with_frames_removed(f, …)`: the frame through which importlib leaves itself."""
        import _imp

        recorder = self.recorder
        threads = recorder.threads
        limits = LIMITS
        body = self._body
        note = self._note
        entered = self.recorder.entered
        ours = self._guard.ours
        now = clock
        exec_ = exec
        builtin = type(exec)
        find_frozen = _imp.find_frozen  # asked at every load
        noted = {
            compile,
            _imp.create_builtin,
            _imp.create_dynamic,
            _imp.exec_builtin,
            _imp.exec_dynamic,
        }

        def _call_with_frames_removed(f: "Any", *args: "Any", **kwds: "Any") -> "Any":
            manual = None
            try:
                if f is exec_:
                    try:
                        load = threads[recorder.who.get_ident()].stack[-1]
                    except (KeyError, IndexError):
                        load = None
                    namespace = args[1]
                    if (
                        load is not None
                        and not load.body
                        and type(namespace) is dict
                        and namespace.get("__name__") == load.name
                    ):
                        load.body = now()
                        load.code = args[0]
                        if entered is not None:
                            entered(load)
                    else:
                        manual = body(namespace)
                elif f is not find_frozen and type(f) is builtin and f in noted:
                    note(f)
            except limits:
                pass  # as above
            except BaseException as error:
                if not ours(error):
                    raise
            if manual is not None:
                try:
                    return f(*args, **kwds)
                finally:
                    try:
                        manual()
                    except limits:
                        pass  # as above
                    except BaseException as error:
                        if not ours(error):
                            raise
            return f(*args, **kwds)

        return _compat.stand_in(_call_with_frames_removed, original)

    def _note(self, function: "Any") -> None:
        """Something else that importlib calls for the innermost load."""
        import _imp

        state = self.recorder.threads.get(self.recorder.who.get_ident())
        if state is None or not state.stack or state.muted:
            return
        load = state.stack[-1]
        if function is compile:
            load.flags |= COMPILED
            return
        if function is _imp.create_builtin or function is _imp.create_dynamic:
            load.create = load.found = clock()
        elif not load.body:
            load.body = clock()
        if self.recorder.entered is not None:
            self.recorder.entered(load)

    def _body(self, namespace: "Any") -> "Callable[[], None] | None":
        """A body starts that is not the innermost load's, so no lock announced it:
        `spec.loader.exec_module(module)` by hand, a LazyLoader's module touched for the first time."""
        state = self.recorder.state()
        name = namespace.get("__name__") if type(namespace) is dict else None
        if type(name) is not str or state.muted or self.recorder.off:
            return None
        caller, _ = find_importer(_getframe(2))
        importer = caller.f_globals.get("__name__") if caller is not None else None
        begin = clock()
        load = begin_load(
            name,
            state,
            state.stack[-1] if state.stack else None,
            begin,
            caller.f_code.co_filename if caller is not None else None,
            (caller.f_lineno or 0) if caller is not None else 0,
            importer if type(importer) is str else None,
            _exception(),
        )
        load.found = load.body = begin
        spec = namespace.get("__spec__")
        if type(spec) is _compat.bootstrap_function("ModuleSpec"):
            load.origin = spec.origin
            load.loader = type(spec.loader)
        lock = object()  # no module lock is held: a key of its own
        state.stack.append(load)
        self.recorder.open[lock] = load
        if self.recorder.began is not None:
            self.recorder.began(load)
        if self.recorder.entered is not None:
            self.recorder.entered(load)

        def done() -> None:
            try:
                self._close(lock, load)  # a failure is the exception in flight
            except BaseException as error:
                if not self._guard.ours(error):
                    raise

        return done
