"""gunicorn: a worker's start-up is over when it has booted and reports to the arbiter.

Each worker class must call ``Worker.notify`` in its main loop, and ``booted`` is set when the
application is loaded and the ``post_worker_init`` hook has run. A wrapper there, unlike one of
``load_wsgi``, is not on the stack while the application is imported. With ``--preload`` that
happens before the fork, and the mark says that this worker is ready.
"""

from importtrace.integrations._wrap import when_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Worker.notify`` of ``gunicorn.workers.base``; returns the undo.

    The wrapper goes by itself once it has marked the worker: notify is called for ever.
    """
    return when_called(
        module.Worker,
        "notify",
        lambda: mark_ready("gunicorn"),
        load,
        reached=lambda worker, args: worker.booted,
    )
