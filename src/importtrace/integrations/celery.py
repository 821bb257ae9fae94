"""celery: a worker's start-up is over when its consumer is ready for tasks, after ``worker_ready``.

That is the main process, which has imported the application. Processes of a prefork pool are forked
from it before and have no ready mark; they end by os._exit, and say so by ``worker_process_shutdown``:
what they imported is delivered then.
"""

import sys

from importtrace.integrations._wrap import when_returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

process_ends: "Callable[[], None] | None" = (
    None  # in a forked process: what is to be done at its end
)


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Worker.on_consumer_ready`` of ``celery.apps.worker``; returns the undo."""
    undo = when_returned(module.Worker, "on_consumer_ready", lambda: mark_ready("celery"), load)
    shutdown = getattr(sys.modules.get("celery.signals"), "worker_process_shutdown", None)
    if shutdown is None:
        return undo
    shutdown.connect(_ended, weak=False)

    def undo_both() -> None:
        shutdown.disconnect(_ended)
        undo()

    return undo_both


def _ended(**_: object) -> None:
    if process_ends is not None:
        process_ends()
