"""What we listen to besides imports: uncaught errors, thread starts, forks, ready points, the exit.

All of it chains to what was there, and is taken back by identity.
"""

import _thread
import sys

from importtrace import _compat
from importtrace._callers import leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from importtrace._recorder import Load, Recorder


class Hooks:
    """`followed` maps a module to what is to happen once its load has ended."""

    def __init__(
        self,
        recorder: "Recorder",
        tell: "Callable[[BaseException], object]",
        uncaught: "Callable[[], None]",
        ready: "Callable[[str], None]",
    ) -> None:
        self._recorder = recorder
        self._tell = tell
        self._uncaught = uncaught
        self._ready = ready
        self._undo: list[Callable[[], None]] = []
        self.threading_loaded: Callable[[Any], None] | None = None
        self.followed: dict[str, list[Callable[[], None]]] = {}
        self.ready_points: dict[str, str] = {}  # module or the user's word -> "patched" or why not
        self._removed = False

    def place(self, ready_points: dict[str, str], ready_at: "tuple[str, ...]" = ()) -> None:
        """`ready_at`: the places that the user names; `ready_points` are then not used."""
        self._replace(sys, "excepthook", self._excepthook)
        self._follow("threading", self._patch_threading)
        self._follow("greenlet", self._follow_greenlets)
        for point in ready_at:
            self._follow_users_point(point)
        for module, name in ready_points.items() if not ready_at else ():
            self._follow(module, self._patch_ready_point(module, name))

    def remove(self) -> None:
        self._removed = True
        self.followed.clear()
        while self._undo:
            self._undo.pop()()

    def loaded(self, load: "Load") -> None:
        """A load has ended, and its lock is given back."""
        if load.error is None:  # it may be tried again
            for action in self.followed.pop(load.name, ()):
                action()

    def _follow(self, module: str, action: "Callable[[], None]") -> None:
        if self._is_loaded(module):
            action()
        else:
            self.followed.setdefault(module, []).append(action)

    def _is_loaded(self, module: str) -> bool:
        return module in sys.modules and not any(
            load.name == module for load in list(self._recorder.open.values())
        )

    def _replace(self, owner: "Any", name: str, make: "Callable[[Any], Any]") -> None:
        original = getattr(owner, name)
        ours = make(original)
        setattr(owner, name, ours)

        def undo() -> None:
            if getattr(owner, name, None) is ours:
                setattr(owner, name, original)

        self._undo.append(undo)

    # uncaught errors -----------------------------------------------------------------------

    def _excepthook(self, previous: "Any") -> "Any":
        def excepthook(
            kind: type[BaseException], value: BaseException, tb: "TracebackType | None"
        ) -> None:
            self._quietly(self._tell, value)
            state = self._recorder.state()
            # Printing imports: traceback, and in 3.12+ the failed module again, for a suggestion.
            mine = 1 if previous is sys.__excepthook__ else 0
            state.muted += mine
            try:
                previous(kind, value, tb)
            finally:
                state.muted -= mine
                self._quietly(self._uncaught)

        return excepthook

    def _threading_excepthook(self, previous: "Any") -> "Any":
        def excepthook(args: "Any", /) -> "Any":
            if args.exc_value is not None:
                self._quietly(self._tell, args.exc_value)
            state = self._recorder.state()
            mine = 1 if previous is getattr(sys.modules["threading"], "__excepthook__", 0) else 0
            state.muted += mine
            try:
                return previous(args)
            finally:
                state.muted -= mine

        return excepthook

    def _quietly(self, call: "Callable[..., object]", *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:
            from importtrace.config import warn

            warn(f"no explanation: {type(error).__name__}: {error}")

    # threads -------------------------------------------------------------------------------

    def _patch_threading(self) -> None:
        threading: Any = sys.modules["threading"]
        if not hasattr(threading, "excepthook"):
            return  # a file of the user's that has its name
        self._replace(threading, "excepthook", self._threading_excepthook)
        starter = _compat.thread_starter(threading)
        if starter is not None:
            self._replace(threading, starter, self._thread_start)
        if self.threading_loaded is not None:
            self.threading_loaded(threading)

    def _thread_start(self, original: "Any") -> "Any":
        """The call by which `Thread.start` starts a thread: notes the load that it happened in."""
        recorder = self._recorder

        def start(function: "Any", /, *args: "Any", **kwargs: "Any") -> "Any":
            try:
                state = getattr(recorder.local, "state", None)
                if state is not None and state.stack:
                    thread = getattr(function, "__self__", None)
                    if thread is not None:
                        if len(recorder.starting) > 10_000:
                            recorder.starting.clear()  # threads that never import
                        recorder.starting[id(thread)] = state.stack[-1]
            except Exception:
                pass
            try:
                return original(function, *args, **kwargs)
            except BaseException as error:
                leave(error)
                raise

        return start

    # greenlets -----------------------------------------------------------------------------

    def _follow_greenlets(self) -> None:
        """They share their thread's ident, and take turns in the middle of imports."""
        current: Any = getattr(sys.modules.get("greenlet"), "getcurrent", None)
        builtin: Any = type(len)
        if type(current) is not builtin:
            return  # a file of the user's that has its name
        recorder = self._recorder
        recorder.who = Greenlets(current)

        def undo() -> None:
            recorder.who = _thread

        self._undo.append(undo)

    # ready points --------------------------------------------------------------------------

    def _patch_ready_point(
        self, module: str, name: str, *more: str, key: str | None = None
    ) -> "Callable[[], None]":
        """What follows `module` by our integration `name`, once it is loaded; `key` is the user's word."""

        def said(error: Exception) -> None:
            self.ready_points[key or module] = f"{type(error).__name__}: {error}"
            if key is not None:
                from importtrace.config import warn

                warn(f"cannot tell when {key} is reached: {error}; the trace is delivered at exit")

        def load(needed: str) -> "Any":  # wrapt, when the function is first looked up
            try:
                return self._import(needed)
            except Exception as error:
                if needed != "wrapt" or not isinstance(error, ModuleNotFoundError):
                    said(error)  # else it is looked for elsewhere
                raise

        def patch() -> None:
            try:
                integration = self._import(f"importtrace.integrations.{name}")
                undo = integration.patch(sys.modules[module], self._mark, load, *more)
                self._undo.append(undo)
                self.ready_points[key or module] = "patched"
            except Exception as error:
                said(error)

        return patch

    def _follow_users_point(self, point: str) -> None:
        module, _, function = point.partition(":")
        self.ready_points[point] = f"waiting for the load of {module}"
        if function:
            self._follow(module, self._patch_ready_point(module, "anywhere", point, key=point))
        else:
            self._follow(module, lambda: self._reach(point))

    def _reach(self, point: str) -> None:
        self.ready_points[point] = "reached"
        self._mark(point)

    def _mark(self, reason: str) -> None:
        if self._removed:  # somebody kept a wrapped function
            return
        try:
            self._ready(reason)
        except Exception as error:
            from importtrace.config import warn

            warn(f"the ready mark was not set ({type(error).__name__}: {error})")

    def _import(self, module: str) -> "Any":
        """Ours, not the program's: it is not in the trace."""
        state = self._recorder.state()
        state.muted += 1
        try:
            return __import__(module, fromlist=[""])
        finally:
            state.muted -= 1
            for name in list(self.followed):  # its loads were not seen ending
                if self._is_loaded(name):
                    for action in self.followed.pop(name, ()):
                        action()


class Greenlets:
    """Stands where `_thread` stands as `Recorder.who`, once the package `greenlet` is loaded.

    A thread's first greenlet goes by the thread's ident, as before; another by its own id, as in gevent.
    """

    def __init__(self, current: "Callable[[], Any]") -> None:
        self._current = current

    def get_ident(self) -> int:
        greenlet = self._current()
        return _thread.get_ident() if greenlet.parent is None else id(greenlet)


class Process:
    """Forks and the exit: registered once in a process, since neither can be taken back on all versions."""

    def __init__(self) -> None:
        self._registered = False
        self._goes_first = False
        self.before_exit: Callable[[], None] | None = None
        self.before_fork: Callable[[], None] | None = None
        self.after_fork: Callable[[], None] | None = None  # in the child
        self.after_fork_in_parent: Callable[[], None] | None = None
        self.at_exit: Callable[[], None] | None = None
        self.lock = _thread.allocate_lock()

    def register(self) -> None:
        if self._registered:
            return
        self._registered = True
        import atexit

        atexit.register(self._call, "at_exit")
        system: Any = sys.modules.get("posix")
        if hasattr(system, "register_at_fork"):
            system.register_at_fork(
                before=lambda: self._call("before_fork"),
                after_in_parent=lambda: self._call("after_fork_in_parent"),
                after_in_child=self._after_fork,
            )

    def _after_fork(self) -> None:
        self.lock = _thread.allocate_lock()  # a thread that stayed in the parent may have held it
        self._call("after_fork")

    def go_first(self, threading: "Any") -> None:
        """Call `before_exit` ahead of all exit handlers, if the application has a TracerProvider.

        It registers the handler that shuts it down when it is made, thus after ours, and atexit's last
        come first. What threading calls comes before all of atexit's, but also before it waits for the
        program's threads: too early to deliver, early enough to be atexit's last.
        """
        register = getattr(threading, "_register_atexit", None)
        if not self._goes_first and register is not None:
            try:
                register(self._be_last)
                self._goes_first = True
            except RuntimeError:  # the interpreter ends already
                pass

    def _be_last(self) -> None:
        provider = getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None)
        if self.before_exit is not None and provider is not None:
            import atexit

            atexit.register(self._call, "before_exit")

    def _call(self, name: str) -> None:
        action = getattr(self, name)
        if action is not None:
            try:
                action()
            except Exception as error:
                from importtrace.config import warn

                warn(f"{name}: {type(error).__name__}: {error}")
