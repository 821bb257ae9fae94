"""hypercorn: a worker's start-up is over when it says "Running on http://…".

It says so for each socket once it listens there, after the application's lifespan start-up; with
asyncio, uvloop and trio alike, through ``Logger.info``, also where its log goes nowhere. With
``--workers`` each worker is started afresh; the supervising process says nothing and is never ready.
"""

from importtrace.integrations._wrap import when_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Logger.info`` of ``hypercorn.logging``; returns the undo."""
    return when_called(
        module.Logger, "info", lambda: mark_ready("hypercorn"), load, reached=_is_running
    )


def _is_running(logger: object, args: "tuple[Any, ...]") -> bool:
    return bool(args) and str(args[0]).startswith("Running on ")
