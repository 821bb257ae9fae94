"""Our own modules that an import may need in its middle: there from `install()` on, run at first touch.

A plain import of ours, while the program imports, is seen by the program: `sys.modules` grows in the
middle of a loop over it, the program's finders are asked for our names, and the import locks are
taken, of which one may be what hangs. So these modules are put into `sys.modules` empty. The first
attribute that is missing runs the file, without the import system; then they are plain modules.
"""

import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace._recorder import ThreadState

# They import only each other and what the interpreter has from the start.
_PACKAGES = ("analysis",)
_NAMES = (
    "_failures",
    "_facts",
    "_history",
    "_frames",
    "_files",
    "_stalls",
    "_alarms",
    "_forks",
    "_spool_text",
    "analysis",
    "analysis.facts",
    "analysis.lookup",
    "analysis.statements",
    "analysis.guards",
    "analysis.links",
    "analysis.kinds",
    "analysis.causes",
    "analysis.render",
)


class Late(type(sys)):  # type: ignore[misc]  # mypy knows the type of modules only from `types`
    """A module that has not run yet."""

    def __getattr__(self, name: str) -> "Any":
        if name.startswith("__"):  # somebody who looks at all modules
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _run(self)
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


_running = _thread.RLock()
_state: "Callable[[], ThreadState] | None" = None


def place(state: "Callable[[], ThreadState]") -> None:
    """Put them where an import finds them. `state` gives this thread's state: what they take is ours.

    Where we come from a zip or a frozen program there is no file to run: they are imported now.
    """
    global _state
    _state = state
    package: Any = sys.modules["importtrace"]
    source = getattr(sys.modules.get("_frozen_importlib_external"), "SourceFileLoader", None)
    if type(package.__spec__.loader) is not source:
        for name in _NAMES:
            __import__("importtrace." + name)
        return
    folder = package.__file__.removesuffix("__init__.py")
    spec_type = type(package.__spec__)
    for name in _NAMES:
        full = "importtrace." + name
        if full in sys.modules:
            continue
        is_package = name in _PACKAGES
        path = folder + name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        module = Late(full)
        spec = spec_type(full, source(full, path), origin=path, is_package=is_package)
        spec.has_location = True
        names: Any = vars(module)
        names.update(__spec__=spec, __loader__=spec.loader, __file__=path, __package__=spec.parent)
        if is_package:
            names["__path__"] = spec.submodule_search_locations = [
                path.removesuffix("/__init__.py")
            ]
        sys.modules[full] = module
        parent, _, last = full.rpartition(".")
        setattr(sys.modules[parent], last, module)


def ran(name: str) -> "Any":
    """The module of this name if it has run, else None: for those that know nothing before."""
    module = sys.modules.get("importtrace." + name)
    return module if type(module) is not Late else None


def restart() -> None:
    """In a forked child: the thread that was running one may have stayed in the parent."""
    global _running
    _running = _thread.RLock()
    for name in _NAMES:
        module = sys.modules.get("importtrace." + name)
        if type(module) is Late:
            _blank(module)


def _run(module: "Late") -> None:
    with _running:
        if type(module) is not Late:
            return  # another thread has been quicker
        names: Any = vars(module)
        if "__running__" in names:
            return  # it asks itself: what is missing is missing
        state = _state() if _state is not None else None
        try:
            names["__running__"] = True
            if state is not None:
                state.muted += 1
            exec(module.__spec__.loader.get_code(module.__name__), names)
            module.__class__ = type(sys)  # type: ignore[assignment]  # from now on a plain module
        except BaseException:
            _blank(module)  # near the recursion limit, say: the next touch tries again
            raise
        finally:
            if state is not None:
                state.muted -= 1  # first: a signal handler may raise after any call
            names.pop("__running__", None)


def _blank(module: "Late") -> None:
    """As if it had not been touched."""
    names: Any = vars(module)
    names.pop("__running__", None)
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
