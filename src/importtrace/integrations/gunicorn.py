"""gunicorn: a worker's start-up is over when it has booted and reports to the arbiter.

Each worker class must call ``Worker.notify`` in its main loop, and ``booted`` is set when the
application is loaded and the ``post_worker_init`` hook has run. A wrapper there, unlike one of
``load_wsgi``, is not on the stack while the application is imported. With ``--preload`` that
happens before the fork, and the mark says that this worker is ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.integrations._wrap import wrap_method

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def patch(module: ModuleType, mark_ready: Callable[[str], object]) -> Callable[[], None]:
    """Follow ``Worker.notify`` of ``gunicorn.workers.base``; returns the undo.

    The wrapper goes by itself once it has marked the worker: notify is called for ever.
    """

    def notify(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if instance.booted:
            undo()
            mark_ready("gunicorn")
        return wrapped(*args, **kwargs)

    undo = wrap_method(module.Worker, "notify", notify)
    return undo
