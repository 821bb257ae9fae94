"""Whose frame is it: who asked for a module, and whose exception it is that was raised in ours.

Hot, stdlib-free.
"""

from importtrace import _compat
from importtrace._recorder import ASKED, FROM_LIST, IMPLIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

_BOOTSTRAP = _compat.BOOTSTRAP_GLOBALS
_EXTERNAL = _compat.EXTERNAL_GLOBALS
_IMPORTLIB = ("importlib", "importlib.util")
_STAND_INS = ("_init_module_attrs", "_call_with_frames_removed")

# The program stands at one of its limits: no call of ours may follow, it would raise again. Made
# here, since a tuple made where it is caught takes memory.
LIMITS = (RecursionError, MemoryError)

# Past the exception's own class, which may be the program's and run its code.
_traceback: "Any" = vars(BaseException)["__traceback__"]
traceback_of: "Callable[[BaseException], TracebackType | None]" = _traceback.__get__
_set_traceback = _traceback.__set__


def leave(error: BaseException) -> None:
    """The frame that caught it leaves the traceback, which then reads as without us; a bare `raise`
    does not add it again."""
    tb = traceback_of(error)
    if tb is not None:
        _set_traceback(error, tb.tb_next)


def find_importer(frame: "FrameType | None") -> "tuple[FrameType | None, int]":
    """The frame that asked for the module, and how: IMPLIED is importlib's own wish for a parent
    package, FROM_LIST its try whether a name of a `from` list is a submodule."""
    how = ASKED
    called = decided = False
    while frame is not None:
        namespace = frame.f_globals
        if namespace is _BOOTSTRAP:
            code = frame.f_code
            if code is _compat.RESOLVE_PARENTS and not decided:
                decided, how = True, IMPLIED  # 3.15 waits for ancestors without that call
            elif called and not decided:
                # the frame below decides; importlib.machinery's create_module also calls that way
                decided = True
                if code is _compat.FIND_AND_LOAD_UNLOCKED:
                    how = IMPLIED
                elif code is _compat.HANDLE_FROMLIST:
                    how = FROM_LIST
            called = code.co_name == "_call_with_frames_removed"
        elif namespace is _EXTERNAL or namespace.get("__name__") in _IMPORTLIB:
            decided = decided or called
        else:
            break
        frame = frame.f_back
    return frame, how


class FailOpen:
    """Calls `broken` for an error of our own; what is the program's passes."""

    def __init__(self, broken: "Callable[[BaseException], None]") -> None:
        self._broken = broken

    def ours(self, error: BaseException) -> bool:
        """Whether `error` was raised by our own code; if so, tracing has been stopped.

        A signal handler can raise in any frame, ours too; that exception is the program's and the
        caller raises it on.
        """
        tb = traceback_of(error)
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if tb is None or not issubclass(type(error), Exception):
            return False
        namespace = tb.tb_frame.f_globals
        stand_in = namespace is _BOOTSTRAP and tb.tb_frame.f_code.co_name in _STAND_INS
        if not stand_in and not str(namespace.get("__name__")).startswith("importtrace."):
            return False
        if not issubclass(type(error), RecursionError | MemoryError):
            self._broken(error)
        # The program stands at a limit: this record is lost, the next ones need not be.
        return True
