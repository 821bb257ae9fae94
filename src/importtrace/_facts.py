"""Fills in a `Failure` from the exception, the stacks, the open loads and the log.

Runs inside a failing import (with its lock held) or later, from an excepthook or `explain()`; what
can no longer be seen then is left out.
"""

import sys

from importtrace import _compat, _late
from importtrace._files import file_of, names, namespace_of, read, search_path
from importtrace._frames import (
    MOST_FRAMES,
    args_of,
    body_places,
    cause_of,
    context_of,
    field,
    imports,
    internal,
    is_a,
    is_body,
    ours,
    raised_here,
    traceback,
)
from importtrace._history import History, place_of, ref
from importtrace.analysis.facts import Failure, Files, Frame, OpenLoad
from importtrace.analysis.guards import names_tested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from importtrace._failures import Caught
    from importtrace._recorder import Load, Recorder, ThreadState

_MOST_NAMES = 200
_MOST_EARLIER = 500
_NO_MODULE = object()


class Collector:
    """Reads; changes nothing of the program's."""

    def __init__(self, recorder: "Recorder", known: "dict[int, Caught]") -> None:
        self._recorder = recorder
        self._history = History(recorder)
        self._known = known
        self.files = Files(read, names, file_of)
        self._outer: list[Frame] | None = None  # of the exception that was raised from this one

    def collect(
        self,
        caught: "Caught",
        error: BaseException,
        state: "ThreadState | None",
        here_raised: bool = False,
    ) -> "Failure":
        load = caught.loads[0] if caught.loads else None
        in_flight = load is not None and state is not None and bool(state.stack)
        last, stack = traceback(error)
        known = state is not None
        if state is None:
            state = self._history.asked_by(last)
            known = (
                state is not None
                or "threading" not in sys.modules
                or raised_here(stack, here_raised)
            )
            state = state or self._recorder.state()
        thread = {} if not known else ref(state)
        failure = Failure(caught.type, caught.message, thread)
        failure.import_error = is_a(error, ImportError)
        failure.not_found = is_a(error, ModuleNotFoundError)
        failure.deadlock = is_a(error, _compat.DeadlockError)
        failure.path = search_path()
        self._frames(failure, stack, thread, in_flight)
        name = None
        for kind in (ImportError, NameError):
            if is_a(error, kind):
                name = field(error, kind, "name")
        failure.name = name if type(name) is str else None
        if load is not None:
            self._stage(failure, caught, load, error)
            self._history.failed_first(failure, load)
        place = (
            (field(error, SyntaxError, "filename"), field(error, SyntaxError, "lineno"))
            if is_a(error, SyntaxError)
            else (None, None)
        )
        if type(place[0]) is str and type(place[1]) is int and place[1]:
            # the statement that did not compile never became a frame
            name = load.name if load is not None else None
            if load is not None and not any(
                frame.body and frame.module == name for frame in failure.frames
            ):
                failure.stage = "compile"
            failure.frames.append(Frame(place[0], place[1], name, True, thread))
        self._missing(failure, error)
        self._open(failure, state)
        self._orphans(failure)
        self._module_facts(failure, error, state)
        self._types(failure, last)
        if state is not None:
            self._requests(failure, caught, state, last, error)
        self._earlier(failure, caught, error, state)
        return failure

    # where ---------------------------------------------------------------------------------

    def _frames(
        self,
        failure: "Failure",
        stack: "list[tuple[FrameType, int]]",
        thread: "dict[str, Any]",
        in_flight: bool,
    ) -> None:
        """The program's frames from the first one outside importing, outermost first."""
        outer: list[tuple[FrameType, int]] = []
        if in_flight:
            frame: FrameType | None = sys._getframe(1)
            inner = stack[0][0] if stack else None
            while frame is not None and len(outer) < MOST_FRAMES:
                if frame is not inner and not ours(frame):
                    outer.append((frame, frame.f_lineno))
                frame = frame.f_back
        entries = [*reversed(outer), *stack]
        first = next(
            (n for n, (frame, _) in enumerate(entries) if imports(frame) or is_body(frame)),
            len(entries),
        )
        # from the frame just outside the first import; without one, the failing statement itself
        shown = [
            n for n, (frame, _) in enumerate(entries) if not internal(frame) and not ours(frame)
        ]
        outside = [n for n in shown if n < first][-1:]
        for frame, line in (entries[n] for n in shown if n >= first or n in outside):
            module = frame.f_globals.get("__name__")
            failure.frames.append(
                Frame(
                    frame.f_code.co_filename,
                    line,
                    module if type(module) is str else None,
                    is_body(frame),
                    thread,
                )
            )
        frames = failure.frames
        for n, above in enumerate(self._outer or ()):
            if frames and (above.file, above.module) == (frames[0].file, frames[0].module):
                # how the program came there; a function's frame stands below its module's body
                frames[:0] = (self._outer or [])[: n if frames[0].body == above.body else n + 1]
                break

    def _stage(
        self, failure: "Failure", caught: "Caught", load: "Load", error: BaseException
    ) -> None:
        failure.load = load.name
        failure.origin = load.origin
        if load.body:
            failure.stage = "body"
        elif load.create:
            failure.stage = "create"
        elif load.found:
            failure.stage = "load"
        else:
            failure.stage = "find"
        failure.raised_in = caught.raised_in
        if failure.stage == "find" and caught.where is not None:
            failure.search_stopped = "finder"
        if failure.stage == "create":
            failure.raised_in = "create_module"
        parent = load.name.rpartition(".")[0]
        if failure.type == "KeyError" and failure.raised_in and args_of(error) == (parent,):
            # also ours if that load is over by now: it is the one that took the package away
            for earlier in reversed(self._recorder.troubled.get(parent, [])):
                if earlier.thread is not load.thread and earlier.end >= load.begin:
                    failure.parent_failed = self._history.as_earlier(earlier, load.thread)
                    break
        missed = args_of(error)[0] if failure.type == "KeyError" and failure.raised_in else None
        if type(missed) is str and missed in (parent, load.name) and missed not in sys.modules:
            failure.removed = missed

    def _missing(self, failure: "Failure", error: BaseException) -> None:
        where = failure.frames[-1] if failure.frames else None
        if type(error) is ImportError and failure.name and failure.raised_in is None:
            wanted = field(error, ImportError, "name_from") or _quoted(failure.message)
            if wanted and (failure.message or "").startswith("cannot import name "):
                if not self._is_raise(where):
                    failure.missing = (failure.name, wanted)
        elif is_a(error, AttributeError):
            obj, wanted = field(error, AttributeError, "obj"), field(error, AttributeError, "name")
            if obj is None and type(wanted) is str:
                failure.of_none = wanted
            if isinstance(obj, type(sys)) and type(wanted) is str:
                name = namespace_of(obj).get("__name__")
                if type(name) is str:
                    failure.missing = (name, wanted)
        elif is_a(error, ModuleNotFoundError) and failure.name and failure.raised_in is None:
            # import.c has cut importlib's frames off by the time the body's lock is given back
            if not self._is_raise(where):
                failure.raised_in = "_find_and_load"
        name = failure.name
        if failure.import_error and name and sys.modules.get(name, _NO_MODULE) is None:
            failure.search_stopped = "none"

    def _is_raise(self, where: "Frame | None") -> bool:
        source = self.files.source(where.file) if where is not None else None
        if source is None or where is None:
            return False
        return type(source.node(where.line)).__name__ == "Raise"

    def _open(self, failure: "Failure", state: "ThreadState | None") -> None:
        stacks = _compat.stacks()
        own = {frame.module: frame for frame in failure.frames if frame.body}
        for other in list(self._recorder.threads.values()):
            loads = list(other.stack)
            if not loads:
                continue
            mine = other is state
            places = own if mine else body_places(stacks.get(other.ident))
            for load in loads:
                place = places.get(load.name)
                waiting = other.waiting if load is loads[-1] and not mine else None
                failure.open.append(
                    OpenLoad(
                        load.name,
                        ref(other),
                        mine,
                        _state(load.name),
                        place.file if place is not None else None,
                        place.line if place is not None else None,
                        waiting.name if waiting is not None else None,
                    )
                )

    def _orphans(self, failure: "Failure") -> None:
        """Locks whose holder stayed in the process that this one was forked from."""
        forks = _late.ran("_forks")
        for name, orphan in forks.ORPHANS.copy().items() if forks is not None else ():
            if orphan.orphaned():
                failure.orphans[name] = orphan.to_dict()
                self._describe(failure, name, sys.modules.get(name))

    # modules -------------------------------------------------------------------------------

    def _module_facts(
        self, failure: "Failure", error: BaseException, state: "ThreadState | None"
    ) -> None:
        concerned = {failure.missing[0]} if failure.missing else set()
        if failure.not_found and failure.name:
            parent = failure.name.rpartition(".")[0]
            if parent:
                concerned.add(parent)
        for name in concerned:
            obj: Any = sys.modules.get(name)
            if failure.missing and is_a(error, AttributeError):
                obj = field(error, AttributeError, "obj")
            self._describe(failure, name, obj)
        if failure.not_found and failure.name:
            failure.parent_path = failure.packages.get(failure.name.rpartition(".")[0], ())
        if failure.missing:
            obj = sys.modules.get(failure.missing[0])
            if is_a(error, AttributeError):
                obj = field(error, AttributeError, "obj")
            if isinstance(obj, type(sys)):
                failure.present = failure.missing[1] in namespace_of(obj)
            self._find_twin(failure, *failure.missing)
            self._left_behind(failure, failure.missing[0], error, state)
        kind = type(error)
        home, _, _ = failure.type.rpartition(".")
        if home and home == kind.__module__:
            self._describe(failure, home, sys.modules.get(home))
            self._find_twin(failure, home, kind.__qualname__)
        self._same_files(failure)
        main = sys.modules.get("__main__")
        if isinstance(main, type(sys)):
            self._describe(failure, "__main__", main)

    def _describe(self, failure: "Failure", name: str, module: "Any") -> None:
        if not isinstance(module, type(sys)):
            return
        namespace = namespace_of(module)
        file = namespace.get("__file__")
        if type(file) is str:
            failure.files[name] = file
        path = namespace.get("__path__")
        if path is not None:
            try:
                failure.packages[name] = tuple(str(entry) for entry in path)
            except Exception:
                failure.packages[name] = ()
        failure.bound[name] = tuple(
            key for key in list(namespace) if type(key) is str and not key.startswith("__")
        )[:_MOST_NAMES]

    def _same_files(self, failure: "Failure") -> None:
        seen: dict[str, str] = {}
        for name, module in sys.modules.copy().items():
            if isinstance(module, type(sys)):
                file = namespace_of(module).get("__file__")
                if type(file) is str:
                    first = seen.setdefault(file, name)
                    if first != name:
                        failure.same_file[name] = first
                        failure.same_file[first] = name

    def _types(self, failure: "Failure", last: "FrameType | None") -> None:
        """Classes of the values that the condition around a `raise` tests."""
        where = failure.frames[-1] if failure.frames else None
        if last is None or where is None or not failure.same_file or not self._is_raise(where):
            return
        for name in names_tested(self.files.source(where.file), where.line):
            value = last.f_locals.get(name, last.f_globals.get(name))
            if value is not None:
                failure.types[name] = tuple(
                    (kind.__module__, kind.__qualname__) for kind in type(value).__mro__
                )

    def _left_behind(
        self, failure: "Failure", name: str, error: BaseException, state: "ThreadState | None"
    ) -> None:
        """The object outlived the failure of its load: importlib no longer knows it by that name."""
        obj = field(error, AttributeError, "obj") if is_a(error, AttributeError) else None
        # (not by this very error, on its way through the module's own load)
        failed = [
            load
            for load in self._recorder.troubled.get(name, ())
            if load.failure is None or not load.failure.is_of(error)
        ]
        if obj is not None and failed and sys.modules.get(name) is not obj:
            failure.left_by = self._history.as_earlier(failed[-1], state)

    def _find_twin(self, failure: "Failure", module: str, attribute: str) -> None:
        file = failure.files.get(module)
        if file is None:
            return
        for name, other in sys.modules.copy().items():
            if name == module or not isinstance(other, type(sys)):
                continue
            namespace = namespace_of(other)
            if namespace.get("__file__") == file and attribute in namespace:
                failure.twins[module] = name
                return

    # what was recorded ---------------------------------------------------------------------

    def _requests(
        self,
        failure: "Failure",
        caught: "Caught",
        state: "ThreadState",
        last: "FrameType | None",
        error: BaseException,
    ) -> None:
        where = failure.frames[-1] if failure.frames else None
        wanted = failure.missing[0] if failure.missing else None
        child = ".".join(failure.missing) if failure.missing else None  # `import a.b as b`
        by_statement = type(error) is ImportError
        for request in reversed(self._recorder.requests):
            if request.thread is not state:
                continue
            if failure.deadlock and request.deadlock == "raised":
                caught.request = request
                failure.refused = request.name
                failure.waits = self._history.graph(request)
                return
            if where is None or request.importer != where.module:
                continue
            file, line = place_of(request)
            if request.name in (wanted, child) and failure.handout is None:
                if by_statement:
                    # the statement that failed is the one that asked, in that very frame
                    node = self._statement(where)
                    same = file == where.file and node is not None and line == node.lineno
                    if not (same or (file, line) == (where.file, where.line)):
                        continue
                    if last is not None and request.frame != id(last):
                        continue
                caught.request = request
                failure.handout = self._history.handout(request, state)
                failure.waits = self._history.graph(request)
                module = request.module() if request.module is not None else None
                if module is not None:
                    self._describe(failure, request.name, module)
                elif request.of is not None and request.of.origin:
                    failure.files.setdefault(request.name, request.of.origin)
            if request.of is not None and request.name != wanted:
                failure.handouts.append(self._history.handout(request, state))
                self._describe(failure, request.name, sys.modules.get(request.name))

    def _statement(self, where: "Frame") -> "Any":
        source = self.files.source(where.file)
        return source.node(where.line) if source is not None else None

    def _earlier(
        self,
        failure: "Failure",
        caught: "Caught",
        error: BaseException,
        state: "ThreadState | None",
    ) -> None:
        for other in self._recorder.failures[-_MOST_EARLIER:]:
            if other is not caught:
                failure.earlier += [self._history.as_earlier(load, state) for load in other.loads]
        seen = 0
        context = cause_of(error) or context_of(error)
        explicit = cause_of(error) is not None
        while context is not None and seen < 10:
            known = self._known.get(id(context))
            if known is not None and known is not caught and known.loads and known.is_of(context):
                failure.context = self._history.as_earlier(known.loads[-1], state)
                failure.context_explicit = explicit
                return
            context = cause_of(context) or context_of(context)
            seen += 1
        self._behind(failure, caught, error, state)

    def _behind(
        self,
        failure: "Failure",
        caught: "Caught",
        error: BaseException,
        state: "ThreadState | None",
    ) -> None:
        """The exception it was raised from, where that left no load: a name was missing, and a handler
        of the same body, or a framework's function, wrapped that."""
        inner = cause_of(error) or context_of(error)
        if (
            self._outer is not None
            or inner is None
            or not is_a(inner, ImportError, AttributeError, NameError)
        ):
            return
        self._outer = failure.frames
        try:
            behind = self.collect(type(caught)(inner, state), inner, state, True)
        finally:
            self._outer = None
        failure.behind = behind
        failure.context_explicit = cause_of(error) is not None


def _state(name: str) -> str:
    module = sys.modules.get(name)
    if isinstance(module, type(sys)):
        spec = namespace_of(module).get("__spec__")
        if spec is not None and not getattr(spec, "_initializing", True):
            return "unbound"
    return "body_running"


def _quoted(text: str | None) -> str | None:
    """The first name in quotes: 3.11 has no ImportError.name_from."""
    parts = (text or "").split("'")
    return parts[1] if len(parts) > 2 else None
