"""In the child: where threads stand and what an exception says, as plain values."""

import sys

from importtrace import _compat
from importtrace.race import _tasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from importtrace.race._control import Control, Thread

_posix: "Any" = sys.modules["posix"]
_MOST_FRAMES = 60
_HIDDEN = (_compat.BOOTSTRAP_GLOBALS, _compat.EXTERNAL_GLOBALS)


def said(error: BaseException) -> tuple[str, "str | None"]:
    """(type, message); the message is cut: it may be as long as the target likes."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "_frozen_importlib"):
        name = f"{kind.__module__}.{name}"
    try:
        text: str | None = str(error)[:2000]
    except Exception:
        text = None
    return name, text


def _program(frame: "FrameType") -> bool:
    namespace = frame.f_globals
    if any(namespace is hidden for hidden in _HIDDEN):
        return False
    return not str(namespace.get("__name__")).startswith("importtrace.")


def _frame(frame: "FrameType", line: "int | None") -> tuple[str, int, str]:
    return frame.f_code.co_filename, line or 0, str(frame.f_globals.get("__name__", "?"))


def traceback(error: BaseException) -> list[tuple[str, int, str]]:
    """(file, line, module) of the program's frames, outermost first."""
    found = []
    tb = error.__traceback__
    while tb is not None:
        if _program(tb.tb_frame):
            found.append(_frame(tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    return found[:5] + found[5:][-_MOST_FRAMES:]


def _stack(frame: "FrameType | None") -> list[tuple[str, int, str]]:
    found: list[tuple[str, int, str]] = []
    while frame is not None and len(found) < _MOST_FRAMES:
        if _program(frame):
            found.append(_frame(frame, frame.f_lineno))
        frame = frame.f_back
    return found[::-1]


def stopped(control: "Control") -> list[dict[str, "Any"]]:
    """Each controlled thread that has not ended: what it holds, what it waits for, where it stands."""
    frames = sys._current_frames()
    owners = {thread.ident: thread for thread in control.threads}
    found = []
    for thread in list(control.threads):
        if thread.state == "done":
            continue
        entry: dict[str, Any] = {
            "thread": thread.index,
            "entry": thread.entry,
            "state": thread.state,
            "holds": list(thread.open),
            "stack": _stack(frames.get(thread.ident)),
        }
        lock = thread.waiting if thread.waiting is not None else _real_wait(thread)
        if lock is not None:
            owner = owners.get(lock.owner)
            entry["for"] = lock.name
            entry["held_by"] = owner.index if owner is not None else 0
            entry["owner_gone"] = lock.owner is not None and lock.owner not in frames
        elif thread.state != "waiting":
            entry["asleep"] = _tasks.look(thread.nid)[0]
        found.append(entry)
    return found


def _real_wait(thread: "Thread") -> "Any":
    """The module lock that CPython says this thread is blocked on."""
    for ident, name, _ in _compat.blocked_threads():
        if ident == thread.ident:
            return _compat.module_lock(name)
    return None


def orphaned(words: int, name: str) -> None:
    """Said by a process that the target forked: nobody in it will ever give this module's lock back."""
    stack = _stack(sys._getframe(1))
    file, line, _ = stack[-1] if stack else ("", 0, "")
    try:
        _posix.write(words, f"orphaned\t{name}\t{file}\t{line}\n".encode("utf-8", "replace"))
    except OSError:
        pass
