"""Mode `finder`: for interpreters whose module locks cannot be probed.

Two seams, neither of which has a frame on the stack while anything of the program's runs:

- a meta path finder that writes down that a search begins, and answers None: importlib asks the
  others itself, each as often as without us, and their tracebacks and loaders are what they were;
- the attribute `ModuleSpec._initializing`, which importlib sets before a module's body and again
  when it is over, well or not. A data descriptor sees that; it has no `__get__`, so reading the
  attribute, as each import of a finished module does in C, stays what it was.

A search that ends without a module leaves no mark, and a body cannot be told from the reading of its
code: the trace says so (`not_observed`).
"""

import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._callers import FailOpen, find_importer
from importtrace._recorder import (
    ASKED,
    FAILED,
    IMPLIED,
    SLOW,
    Load,
    Recorder,
    ThreadState,
    begin_load,
    place,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType
    from typing import Any

    from importtrace._hooks import Hooks

_getframe = sys._getframe
_exception = sys.exception
_FLAG = "_initializing"
_MODULE_SPEC = _compat.bootstrap_function("ModuleSpec")
_BOOTSTRAP = _compat.BOOTSTRAP_GLOBALS
_FIND_SPEC = _compat.FIND_SPEC
_FIND_AND_LOAD = _compat.FIND_AND_LOAD_UNLOCKED
_IMPORTLIB = ("importlib", "importlib.util")


class TracingFinder:
    """Placed or not; `remove` takes back exactly what `place` put there."""

    def __init__(
        self,
        recorder: "Recorder",
        failed: "Callable[[Load, BaseException], None]",
        hooks: "Hooks",
        broken: "Callable[[BaseException], None]",
    ) -> None:
        self._recorder = recorder
        self._failed = failed
        self._hooks = hooks
        self._guard = FailOpen(broken)
        self.specs: dict[Load, Any] = {}  # of open loads
        # ident of a thread -> its searches of which no end was seen, as (frame's id, load)
        self._searches: dict[int, list[tuple[int, Load]]] = {}
        self._watch = _watch(self, recorder, hooks)

    def place(self) -> None:
        spec_class = _MODULE_SPEC
        self._adopt_open_loads()
        if _FLAG not in vars(spec_class):
            setattr(spec_class, _FLAG, self._watch)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        self._recorder.off = True
        for position, finder in enumerate(sys.meta_path):
            if finder is self:
                del sys.meta_path[position]
                break
        spec_class = _MODULE_SPEC
        if vars(spec_class).get(_FLAG) is self._watch:
            delattr(spec_class, _FLAG)
        for state in list(self._recorder.threads.values()):
            for load in state.stack:
                self._recorder.keep(load)  # its end will not be seen
            state.stack.clear()
        self._recorder.open.clear()
        self.specs.clear()
        self._searches.clear()

    @staticmethod
    def proves(kind: str, error: str) -> bool:
        """Whether a cause of this kind, of this type of error, is certain without what this mode does
        not see: waits, hand-outs, and searches that found nothing."""
        if kind in ("missing_name", "swallowed_earlier"):
            return False
        uncertain = ("ImportError", "ModuleNotFoundError", "NameError")
        return kind != "body_raised" or error not in uncertain

    def _adopt_open_loads(self) -> None:
        """`install()` in the middle of this thread's imports: what it has open begins with the trace."""
        recorder = self._recorder
        state = recorder.state()
        for name in _compat.loads_on_stack(_getframe()):
            module = sys.modules.get(name)
            spec = getattr(module, "__spec__", None) if type(module) is type(sys) else None
            if name.partition(".")[0] == "importtrace" or not getattr(spec, _FLAG, False):
                continue
            if name == "sitecustomize" and "_step_aside" in vars(module):
                continue  # ours: it makes room for the environment's own
            begin = recorder.started_at + len(state.stack)  # outermost first
            parent = state.stack[-1] if state.stack else None
            load = begin_load(name, state, parent, begin, None, 0, None, None)
            load.adopted = True
            self._open(load, spec)

    # a search begins -----------------------------------------------------------------------

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        try:
            frame: Any = _getframe(1)
            if frame.f_code is _FIND_SPEC:
                frame = frame.f_back
                # not importlib.util.find_spec(), reload() or runpy, who load nothing by it
                if frame is not None and frame.f_code is _FIND_AND_LOAD:
                    load = self._begin(name, frame)
                    if load is not None:
                        ident = load.thread.ident
                        searches = self._searches.get(ident)
                        if searches is None:
                            searches = self._searches[ident] = []
                        searches.append((id(frame), load))
        except RecursionError:
            pass  # the program stands at the limit; no call here, not even to ours()
        except BaseException as error:
            if not self._guard.ours(error):
                raise
        return None

    def _begin(self, name: str, frame: "Any") -> "Load | None":
        """A load, asked for below `frame`, which is importlib's."""
        begin = clock()
        recorder = self._recorder
        state = recorder.threads.get(recorder.who.get_ident())
        if state is None or not state.stack:
            state = recorder.state()  # a new thread, or one with a dead one's ident
        if state.muted or recorder.off:
            return None
        stack = state.stack
        while stack:
            last = stack[-1]
            if getattr(self.specs.get(last), _FLAG, False):
                break
            self._forget(self.specs.get(last))  # what saw its end was interrupted
            self.specs.pop(last, None)
            recorder.keep_interrupted(last, None)
            if stack and stack[-1] is last:  # a signal handler's import may have come between
                stack.pop()  # last of all: interrupted before, it is tried again
        parent = stack[-1] if stack else None
        if self._searches.get(state.ident):
            search = self._search_around(state, frame)
            if search is not None and (parent is None or parent.begin < search.begin):
                parent = search  # a finder or a loader's create_module imports
        if parent is None:
            parent, state.started_in = state.started_in, None
        # the usual way: a statement, _find_and_load, _find_and_load_unlocked
        caller, how = frame.f_back, ASKED
        caller = caller.f_back if caller is not None else None
        importer = caller.f_globals.get("__name__") if caller is not None else None
        if (
            type(importer) is not str
            or importer in _IMPORTLIB
            or (caller is not None and caller.f_globals is _BOOTSTRAP)  # whatever its name is now
        ):
            caller, how = find_importer(frame)
            importer = caller.f_globals.get("__name__") if caller is not None else None
            if type(importer) is not str:
                importer = None
        load = Load()  # `begin_load` written out
        load.name = name
        load.thread = state
        load.parent = parent
        load.begin = begin
        load.importer = importer
        load.outer = _exception()
        load.end = load.found = load.body = load.line = 0
        load.origin = load.loader = load.code = load.where = None
        load.flags = SLOW
        if caller is not None:
            load.where, load.line = place(caller)
        if how == IMPLIED:
            load.flags |= IMPLIED
        return load

    def _search_around(self, state: "ThreadState", frame: "FrameType | None") -> "Load | None":
        """The innermost search that still goes on; those that are over are forgotten."""
        searches = self._searches.get(state.ident)
        while searches:
            ident, load = searches[-1]
            above = frame
            while above is not None:
                if id(above) == ident and _works_on(above, load.name):
                    return load
                above = above.f_back
            if searches:  # a signal handler's import may have come between
                searches.pop()
        return None

    # a body begins and ends ----------------------------------------------------------------

    def interrupted(self, spec: "Any", load: "Load | None", error: BaseException) -> bool:
        """Whether an error in the watch is ours; after the program's own, the load is over for us."""
        if self._guard.ours(error):
            return True
        load = self._recorder.open.get(id(spec), load)
        if load is not None:
            self._forget(spec)
            self._recorder.keep_interrupted(load, error)
        return False

    def started(self, spec: "Any", frame: "FrameType") -> None:
        """importlib has made the module of `spec` and runs its body next."""
        caller = frame.f_back  # of _load_unlocked
        searches = self._searches.get(self._recorder.who.get_ident())
        load = None
        while searches:
            ident, search = searches.pop()
            if ident == id(caller) and (search.name == spec.name or _works_on(caller, search.name)):
                load = search
                load.found = clock()
                break
        if load is None:  # a finder in front of ours answered: when it was asked is not known
            load = self._begin(spec.name, frame)
        if load is not None:
            self._open(load, spec)

    def _open(self, load: "Load", spec: "Any") -> None:
        if type(spec) is _MODULE_SPEC:  # reading another kind may run the program's code
            load.origin = spec.origin
            loader = spec.loader
            load.loader = loader if isinstance(loader, type) else type(loader)
        key = id(spec)  # importlib holds it while the body runs
        open_loads = self._recorder.open
        if key in open_loads:  # a finder may give one spec twice
            load.re_entered = open_loads[key]
        self.specs[load] = spec
        open_loads[key] = load
        load.thread.stack.append(load)  # last: a signal handler's import looks for its spec
        if self._recorder.began is not None:
            self._recorder.began(load)

    def ended(self, spec: "Any", load: "Load") -> None:
        """The body is over; the module's lock is still held, an exception still in flight."""
        recorder = self._recorder
        load.end = clock()
        error = _exception()
        if error is not None and error is load.outer and load.name in sys.modules:
            error = None  # it was being handled when the load began, and still is
        load.outer = None
        try:
            if error is not None:
                if _ran(spec, error):
                    load.body = load.found or load.begin
                load.error = FAILED  # no call before that: it may be interrupted
                try:
                    self._failed(load, error)
                finally:
                    load.body = 0  # when exactly it began was not seen
        finally:
            self._forget(spec)
            recorder.keep(load)
        if load.error is None and load.name in self._hooks.followed:
            self._hooks.loaded(load)

    def _forget(self, spec: "Any") -> None:
        """Its load is no longer open; harmless to say twice."""
        load = self._recorder.open.pop(id(spec), None)
        if load is None:
            return
        self.specs.pop(load, None)
        stack = load.thread.stack
        if stack and stack[-1] is load:
            stack.pop()
        elif load in stack:
            stack.remove(load)
        if load.re_entered is not None:
            self._recorder.open[id(spec)] = load.re_entered
            load.re_entered = None


def _watch(finder: TracingFinder, recorder: Recorder, hooks: "Hooks") -> object:
    """What stands at `ModuleSpec._initializing`; the value itself stays in the spec's own dict.

    A spec that never got a value, as those of `sys` and `builtins`, is now found to have this one:
    nought, so not initializing, and told so in C.
    """
    started, ended, interrupted = finder.started, finder.ended, finder.interrupted
    open_loads, specs, log = recorder.open, finder.specs, recorder.log
    followed = hooks.followed
    dict_of = vars(_MODULE_SPEC)["__dict__"].__get__  # past what a subclass makes of `__dict__`

    class Watch(int):
        def __set__(self, spec: "Any", value: "Any") -> None:
            # No call before the store, in the usual case: a signal's handler may raise there.
            if spec.__class__ is _MODULE_SPEC:
                spec.__dict__[_FLAG] = value
            else:
                dict_of(spec)[_FLAG] = value
            load = None
            try:
                frame = _getframe(1)
                if recorder.off or frame.f_globals is not _BOOTSTRAP:
                    return
                if value:
                    started(spec, frame)
                    return
                load = open_loads.get(id(spec))
                if load is None:
                    return
                stack = load.thread.stack
                if (
                    _exception() is not None
                    or load.re_entered is not None
                    or load.name in followed
                    or recorder.kept is not None
                    or not stack
                    or stack[-1] is not load  # a signal handler's import took it off
                    or len(log) >= recorder.room
                ):
                    ended(spec, load)
                else:  # as nearly always: `ended` written out
                    load.end = clock()
                    load.outer = None
                    open_loads.pop(id(spec), None)
                    specs.pop(load, None)
                    if stack and stack[-1] is load:
                        stack.pop()
                    log.append(load)
            except RecursionError:
                pass  # the program stands at the limit, as above
            except BaseException as error:
                if not interrupted(spec, load, error):
                    raise

    return Watch()


def _works_on(frame: "Any", name: str) -> bool:
    """Whether this frame is importlib's, at work on that module: ids of frames are used again."""
    return (
        frame is not None and frame.f_code is _FIND_AND_LOAD and frame.f_locals.get("name") == name
    )


def _ran(spec: "Any", error: BaseException) -> bool:
    """Whether a frame of the module's body is in the traceback."""
    tb = error.__traceback__
    while tb is not None:
        namespace = tb.tb_frame.f_globals
        if namespace.get("__spec__") is spec and tb.tb_frame.f_code.co_name == "<module>":
            return True
        tb = tb.tb_next
    return False
