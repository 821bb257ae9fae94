"""In the child: where threads stop. Places the points of a `Control`, once; the process ends with them.

about to take a lock   `_compat.MODULE_LOCK_GETTER`, which the import system calls just before `acquire` and
                       outside the global import lock. importtrace's own capture, placed around
                       `acquire` afterwards, so looks at the lock when the thread really goes on
waiting                `_ModuleLock.acquire`: entered in CPython's table of blocked threads, CPython's
                       own detector asked, and the token given away
given back             `_ModuleLock.release`
a body starts          `get_code` of importlib's file loaders: the module is in sys.modules, its code is
                       there, nothing of it has run. A leaf: no frame of ours below a body
a line                 `sys.monitoring` of that code alone where there is one, else `sys.settrace`
a thread starts        `_thread.start_new_thread`, so that threads are numbered as they start
"""

import _imp
import _thread
import sys

from importtrace import _compat
from importtrace.race import _stacks
from importtrace.race._control import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_TOOL = 4  # of sys.monitoring: one that no debugger, coverage or profiler is given by name


def place(control: Control, *, threads: bool, lines: "tuple[str, ...]") -> None:
    """`lines`: top-level names of the modules whose lines are points; empty: no line is."""
    follow = _lines(control, lines) if lines else None
    _place_locks(control)
    _place_bodies(control, follow)
    if threads:
        _place_thread_starts(control)


def _place_locks(control: Control) -> None:
    lock_class, acquire_name, release_name = _compat.module_lock_target()
    lock_class = _any(lock_class)
    point, wait, by_ident = control.point, control.wait, control.by_ident
    taken, refused, released = control.taken, control.refused, control.released
    acquire_original = getattr(lock_class, acquire_name)
    release_original = getattr(lock_class, release_name)
    getter = _compat.MODULE_LOCK_GETTER
    get_original = _compat.bootstrap_function(getter)
    blocked = _compat.waiting_entry()
    get_ident = _thread.get_ident
    deadlock = _compat.DeadlockError

    def get_lock(name: "Any") -> "Any":
        point("acquire", name)
        return get_original(name)

    def acquire(self: "Any") -> "Any":
        try:
            owner = self.owner
            while owner is not None and owner != get_ident():
                if control.verdict is not None:
                    if control.verdict == "forked" and owner not in sys._current_frames():
                        _stacks.orphaned(control.words, self.name)
                    break
                thread = by_ident.get(get_ident())
                if thread is None or thread.inside or thread.state == "outside":
                    break
                if _imp.lock_held():
                    break  # really waits, as a finder would that imports
                with blocked(get_ident(), self):
                    if self.has_deadlock():
                        break  # CPython finds it, too, and says so
                    wait(thread, self)
                owner = self.owner
            result = acquire_original(self)
        except BaseException as error:
            if type(error) is deadlock:
                refused(self)
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        taken(self, owner is None)
        return result

    def release(self: "Any") -> None:
        release_original(self)
        if self.owner is None:
            released(self)

    setattr(lock_class, acquire_name, acquire)
    setattr(lock_class, release_name, release)
    _compat.replace_bootstrap_function(getter, _compat.stand_in(_any(get_lock), get_original))


def _any(value: "Any") -> "Any":
    return value


def _place_bodies(control: Control, follow: "Any") -> None:
    point = control.point
    body_of = _compat.FILE_BODY_RUNNER
    getframe = sys._getframe

    def made(original: "Any") -> "Any":
        def get_code(self: "Any", fullname: "Any") -> "Any":
            code = original(self, fullname)
            if code is not None and getframe(1).f_code is body_of:
                point("body", fullname)
                if follow is not None:
                    follow(fullname, code)
            return code

        return _compat.stand_in(_any(get_code), original)

    for loader in _compat.file_loaders():
        loader.get_code = made(loader.get_code)


def _lines(control: Control, tops: "tuple[str, ...]") -> "Any":
    """A function (module, code) after which each line of that code is a point."""
    point = control.point
    bodies: dict[CodeType, str] = {}
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is not None:
        monitoring.use_tool_id(_TOOL, "importtrace")

        def line(code: "CodeType", number: int) -> None:
            name = bodies.get(code)
            if name is not None:
                point("line", f"{name}@{number}")

        monitoring.register_callback(_TOOL, monitoring.events.LINE, line)

        def follow(name: str, code: "CodeType") -> None:
            if name.partition(".")[0] in tops:
                bodies[code] = name
                monitoring.set_local_events(_TOOL, code, monitoring.events.LINE)

        return follow

    def local(frame: "FrameType", event: str, arg: object) -> "Any":
        if event == "line":
            point("line", f"{bodies[frame.f_code]}@{frame.f_lineno}")
        return local

    def tracer(frame: "FrameType", event: str, arg: object) -> "Any":
        return local if frame.f_code in bodies else None

    def follow_traced(name: str, code: "CodeType") -> None:
        if name.partition(".")[0] in tops:
            bodies[code] = name
            if sys.gettrace() is None:
                sys.settrace(tracer)

    return follow_traced


def _place_thread_starts(control: Control) -> None:
    # Any: functions with attributes
    def wrapped(function: "Any") -> "Any":
        thread = control.add("", spawned=True)

        def run(*args: "Any", **kwargs: "Any") -> "Any":
            control.here(thread)
            try:
                return function(*args, **kwargs)
            finally:
                control.end(thread)

        # `threading` and importtrace's capture look for the Thread object
        run.__self__ = getattr(function, "__self__", None)  # type: ignore[attr-defined]
        run.controlled = thread  # type: ignore[attr-defined]
        return run

    def starter(original: "Any") -> "Any":
        def start(function: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            if _thread.get_ident() not in control.by_ident:
                return original(function, *args, **kwargs)
            run = wrapped(function)
            try:
                return original(run, *args, **kwargs)
            except BaseException:
                control.not_started(run.controlled)
                raise

        return start

    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        original = getattr(_thread, name, None)
        if original is not None:
            setattr(_thread, name, starter(original))
