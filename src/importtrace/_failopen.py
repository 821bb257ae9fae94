"""Fail open: whose exception is it that was raised in a frame of ours?"""

from importtrace._compat import BOOTSTRAP_GLOBALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STAND_INS = ("_init_module_attrs", "_call_with_frames_removed")


class FailOpen:
    """Calls `broken` for an error of our own; what is the program's passes."""

    def __init__(self, broken: "Callable[[BaseException], None]") -> None:
        self._broken = broken

    def ours(self, error: BaseException) -> bool:
        """Whether `error` was raised by our own code; if so, tracing has been stopped.

        A signal handler can raise in any frame, ours too; that exception is the program's and the
        caller raises it on.
        """
        tb = error.__traceback__
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if tb is None or not isinstance(error, Exception):
            return False
        namespace = tb.tb_frame.f_globals
        stand_in = namespace is BOOTSTRAP_GLOBALS and tb.tb_frame.f_code.co_name in STAND_INS
        if not stand_in and not str(namespace.get("__name__")).startswith("importtrace."):
            return False
        if not isinstance(error, RecursionError | MemoryError):
            self._broken(error)
        # The program stands at a limit: this record is lost, the next ones need not be.
        return True
