"""What we listen to besides imports: uncaught errors, thread starts, forks, ready points, the exit.

All of it chains to what was there, and is taken back by identity.
"""

import _thread
import sys

from importtrace import _compat

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
        self.followed: dict[str, Callable[[], None]] = {}
        self.ready_points: dict[str, str] = {}  # module -> "patched" or why not

    def place(self, ready_points: dict[str, str]) -> None:
        self._replace(sys, "excepthook", self._excepthook)
        self._follow("threading", self._patch_threading)
        for module, name in ready_points.items():
            self._follow(module, self._patch_ready_point(module, name))

    def remove(self) -> None:
        self.followed.clear()
        while self._undo:
            self._undo.pop()()

    def loaded(self, load: "Load") -> None:
        """A load has ended, and its lock is given back."""
        action = self.followed.pop(load.name, None)
        if action is not None and load.error is None:
            action()

    def _follow(self, module: str, action: "Callable[[], None]") -> None:
        if module in sys.modules and not any(
            load.name == module for load in list(self._recorder.open.values())
        ):
            action()
        else:
            self.followed[module] = action

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
        self._replace(threading, "excepthook", self._threading_excepthook)
        starter = _compat.thread_starter(threading)
        if starter is not None:
            self._replace(threading, starter, self._thread_start)

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
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                raise

        return start

    # ready points --------------------------------------------------------------------------

    def _patch_ready_point(self, module: str, name: str) -> "Callable[[], None]":
        def patch() -> None:
            state = self._recorder.state()
            state.muted += 1  # wrapt is ours, not the program's
            try:
                integration: Any = __import__(
                    f"importtrace.integrations.{name}", fromlist=["patch"]
                )
                self._undo.append(integration.patch(sys.modules[module], self._ready))
                self.ready_points[module] = "patched"
            except Exception as error:
                self.ready_points[module] = f"{type(error).__name__}: {error}"
            finally:
                state.muted -= 1

        return patch


class Process:
    """Forks and the exit: registered once in a process, since neither can be taken back on all versions."""

    def __init__(self) -> None:
        self._registered = False
        self.before_fork: Callable[[], None] | None = None
        self.after_fork: Callable[[], None] | None = None
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
                after_in_child=lambda: self._call("after_fork"),
            )

    def _call(self, name: str) -> None:
        action = getattr(self, name)
        if action is not None:
            try:
                action()
            except Exception as error:
                from importtrace.config import warn

                warn(f"{name}: {type(error).__name__}: {error}")
