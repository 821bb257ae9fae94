"""The program's stack as the explanation shows it: whose frame is whose. Stdlib-free."""

import sys

from importtrace import _compat
from importtrace._callers import traceback_of
from importtrace.analysis.facts import Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_WORKERS = ("concurrent.futures.thread", "multiprocessing.pool")
_IMPORTLIB = ("importlib", "importlib.util", "zipimport", "runpy")
MOST_FRAMES = 400


# What an exception holds, whatever its class does to attribute access: none of its code is run.
_fields: "Any" = vars(BaseException)
cause_of: "Any" = _fields["__cause__"].__get__
context_of: "Any" = _fields["__context__"].__get__
args_of: "Any" = _fields["args"].__get__


def is_a(error: BaseException, *kinds: type[BaseException]) -> bool:
    """`isinstance` asks the object for its `__class__` where its type says no."""
    return issubclass(type(error), kinds)


def field(error: BaseException, kind: type[BaseException], name: str) -> "Any":
    """A field of a builtin exception type; None where this release has none of that name."""
    descriptor: Any = vars(kind).get(name)
    return descriptor.__get__(error) if descriptor is not None else None


def traceback(error: BaseException) -> "tuple[FrameType | None, list[tuple[FrameType, int]]]":
    entries: list[tuple[FrameType, int]] = []
    tb = traceback_of(error)
    while tb is not None:
        entries.append((tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    if len(entries) > MOST_FRAMES:
        entries = entries[: MOST_FRAMES // 2] + entries[-MOST_FRAMES // 2 :]
    return (entries[-1][0] if entries else None), entries


def raised_here(stack: "list[tuple[FrameType, int]]", ended: bool) -> bool:
    """Whether this thread raised an exception with that traceback; False where it may be another's.

    `ended`: the exception ended this thread. Else the frame that caught it must still be running. A pool's
    worker in the middle says that a future brought it here.
    """
    if any(
        frame.f_code.co_name in ("run", "worker") and frame.f_globals.get("__name__") in _WORKERS
        for frame, _ in stack[1:]
    ):
        return False
    if ended or not stack:
        return True
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not stack[0][0]:
        frame = frame.f_back
    return frame is not None


def imports(frame: "FrameType") -> bool:
    return frame.f_globals is _compat.BOOTSTRAP_GLOBALS


def internal(frame: "FrameType") -> bool:
    namespace = frame.f_globals
    return (
        namespace is _compat.BOOTSTRAP_GLOBALS
        or namespace is _compat.EXTERNAL_GLOBALS
        or namespace.get("__name__") in _IMPORTLIB
    )


def ours(frame: "FrameType") -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.startswith("importtrace.")


def is_body(frame: "FrameType") -> bool:
    return frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__"


def body_places(frame: "FrameType | None") -> "dict[str, Frame]":
    """Where each module body on another thread's stack stands."""
    places: dict[str, Frame] = {}
    while frame is not None:
        if is_body(frame):
            name = frame.f_globals.get("__name__")
            if type(name) is str:
                file, line = frame.f_code.co_filename, frame.f_lineno
                places.setdefault(name, Frame(file, line, name, True, {}))
        frame = frame.f_back
    return places
