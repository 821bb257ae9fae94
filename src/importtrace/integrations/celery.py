"""celery: a worker's start-up is over when its consumer is ready for tasks, after ``worker_ready``.

That is the main process, which has imported the application. Processes of a prefork pool are forked
from it before and are not marked: they have no start-up of their own.
"""

from importtrace.integrations._wrap import when_returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Worker.on_consumer_ready`` of ``celery.apps.worker``; returns the undo."""
    return when_returned(module.Worker, "on_consumer_ready", lambda: mark_ready("celery"), load)
