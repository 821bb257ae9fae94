"""Mode `finder`: recording by public means, for interpreters whose locks cannot be probed.

The finder walks the finders behind it and sees the spec; a wrapped loader, which hands the original
back the first time it is touched, sees the module being created. The end of a body cannot be seen
that way without a frame of ours below it, so it is left out, and the trace says so. A module that is
not found is asked for twice, by us and then by importlib: that is why `auto` uses no finder where
the locks show more.
"""

import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._callers import FailOpen
from importtrace._recorder import Load, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_getframe = sys._getframe


class TracingFinder:
    """Records loads by public means only: found when, by whom, with which loader."""

    def __init__(self, recorder: "Recorder", broken: "Callable[[BaseException], None]") -> None:
        self._recorder = recorder
        self._guard = FailOpen(broken)

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        load: Load | None = None
        try:
            state = self._recorder.state()
            if (
                not state.muted
                and not self._recorder.off
                and target is None
                and _asked_by_import(_getframe(1))
            ):
                load = self._begin(name)
        except BaseException as error:
            if not self._guard.ours(error):
                raise
        if load is None:
            return None  # not an import's question: who asks walks the rest himself
        spec, finder = None, None
        # Walk the live list from behind us, as importlib does. importlib.util.find_spec() would import
        # the parent while we hold the global import lock.
        seen = False
        for candidate in sys.meta_path:
            if candidate is self:
                seen = True
            elif seen:
                find = getattr(candidate, "find_spec", None)
                if find is None:
                    continue
                try:
                    spec = find(name, path, target)
                except BaseException as error:
                    if error.__traceback__ is not None:  # our frame leaves the traceback
                        error.__traceback__ = error.__traceback__.tb_next
                    raise
                if spec is not None:
                    finder = candidate
                    break
        if spec is not None:
            try:
                self._found(load, spec, finder)
            except BaseException as error:
                if not self._guard.ours(error):
                    raise
        return spec

    def _begin(self, name: str) -> "Load":
        recorder = self._recorder
        state = recorder.state()
        stack = state.stack
        while stack and not _initializing(stack[-1]):
            stack.pop()  # over by now; when exactly was not seen
        frame: Any = _getframe(2)
        while frame is not None and (
            frame.f_globals is _compat.BOOTSTRAP_GLOBALS
            or frame.f_globals.get("__name__") in ("importlib", "importlib.util")
        ):
            frame = frame.f_back
        importer = frame.f_globals.get("__name__") if frame is not None else None
        now = clock()
        if stack:
            parent: Load | None = stack[-1]
        else:
            parent, state.started_in = state.started_in, None
        load = Load(
            name,
            state,
            parent,
            now,
            frame.f_code.co_filename if frame is not None else None,
            frame.f_lineno if frame is not None else 0,
            importer if type(importer) is str else None,
            None,
        )
        load.find = now
        return load

    def _found(self, load: "Load", spec: "ModuleSpec", finder: object) -> None:
        load.found = clock()
        load.module_spec = spec
        load.thread.stack.append(load)
        self._recorder.keep(load)
        load.finder = finder if isinstance(finder, type) else type(finder)
        if type(spec) is not _compat.bootstrap_function("ModuleSpec"):
            return  # reading another kind may run the program's code
        load.origin = spec.origin
        loader = spec.loader
        load.loader = loader if isinstance(loader, type) else type(loader)
        if (
            loader is not None
            and hasattr(loader, "exec_module")
            and hasattr(loader, "create_module")
        ):
            spec.loader = _LoaderOnce(spec, loader, load)  # type: ignore[assignment]


class _LoaderOnce:
    """Stands in for a loader until it is touched, and hands the original back before it answers.

    So `module.__loader__`, `__spec__.loader` and everything else that sees the loader sees the real
    one, and no frame of ours is below `create_module` or the body.
    """

    __slots__ = ("_load", "_loader", "_spec")

    def __init__(self, spec: "Any", loader: "Any", load: "Load") -> None:
        self._spec = spec
        self._loader = loader
        self._load = load

    def __getattr__(self, name: str) -> "Any":
        if self._spec.loader is self:  # another tool may have put its own there meanwhile
            self._spec.loader = self._loader
        if not self._load.create:
            self._load.create = clock()
        return getattr(self._loader, name)


def _asked_by_import(frame: "Any") -> bool:
    """An import, not importlib.util.find_spec(), runpy or another finder, who must get the plain spec."""
    return (
        frame.f_code is _compat.FIND_SPEC
        and frame.f_back is not None
        and frame.f_back.f_code is _compat.FIND_AND_LOAD_UNLOCKED
    )


def _initializing(load: "Load") -> bool:
    return bool(getattr(load.module_spec, "_initializing", False))
