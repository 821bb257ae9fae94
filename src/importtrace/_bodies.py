"""Probes of two functions of importlib: where a module is created, and where its body starts.

Each is replaced by its equal, with importlib's name, file and globals: in a traceback and on the
stack it is what it replaces. Bodies that no lock announces are recorded here, too.
"""

import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._importers import find_importer
from importtrace._recorder import Load, Recorder, ThreadState, resolve_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from importtrace._failopen import FailOpen

_getframe = sys._getframe
_exception = sys.exception


class Bodies:
    """Makes the stand-ins; `close` ends a load that no lock announced."""

    def __init__(
        self, recorder: "Recorder", close: "Callable[[Any, Load], None]", guard: "FailOpen"
    ) -> None:
        self.recorder = recorder
        self._close = close
        self._guard = guard

    def created(self, original: "Any") -> "Any":
        """`_init_module_attrs(spec, module)`: called once the loader has made the module."""
        # A stand-in has importlib's globals: what is ours reaches it through its closure.
        recorder = self.recorder
        local = recorder.local
        ours = self._guard.ours
        now = clock
        spec_type = _compat.bootstrap_function("ModuleSpec")

        def _init_module_attrs(spec: "Any", module: "Any", *, override: bool = False) -> "Any":
            try:
                state = getattr(local, "state", None)
                if state is not None and state.stack and not state.muted and not recorder.off:
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

    def called(self, original: "Any") -> "Any":
        """`_call_with_frames_removed(f, …)`: the frame through which importlib leaves itself."""
        import _imp

        recorder = self.recorder
        local = recorder.local
        body = self._body
        ours = self._guard.ours
        now = clock
        exec_, compile_ = exec, compile
        exec_builtin, exec_dynamic = _imp.exec_builtin, _imp.exec_dynamic
        create_builtin, create_dynamic = _imp.create_builtin, _imp.create_dynamic

        def _call_with_frames_removed(f: "Any", *args: "Any", **kwds: "Any") -> "Any":
            manual = None
            try:
                state = getattr(local, "state", None)
                if state is not None and not state.muted and not recorder.off:
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

    def _body(self, state: "ThreadState", args: "tuple[Any, ...]") -> "Callable[[], None] | None":
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
        self, state: "ThreadState", name: str, namespace: "dict[str, Any]"
    ) -> "Callable[[], None]":
        frame: FrameType = _getframe(3)
        caller, _ = find_importer(frame)
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
        resolve_lines([load])
        state.stack.append(load)
        self.recorder.open[lock] = load
        self.recorder.keep_load(load)

        def done() -> None:
            try:
                # The body's own failure is the exception in flight; see _close.
                self._close(lock, load)
            except BaseException as error:
                if not self._guard.ours(error):
                    raise

        return done
