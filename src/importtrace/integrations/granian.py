"""granian: a worker's start-up is over when it makes the scheduler of its calls, and then serves.

The server itself is Rust and cannot be followed. All interfaces make a scheduler (of one of two
classes), after the application is loaded and its lifespan start-up has ended, as the last thing
before they serve. The supervising process makes none and is never ready.
"""

from importtrace.integrations._wrap import when_returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow the making of schedulers in ``granian._futures``; returns the undo."""
    undos: list[Callable[[], None]] = []

    def undo() -> None:
        while undos:
            undos.pop()()

    def mark() -> None:
        undo()
        mark_ready("granian")

    for scheduler in (module._CBScheduler, module._CBSchedulerAIO):
        undos.append(when_returned(scheduler, "__init__", mark, load))
    return undo
