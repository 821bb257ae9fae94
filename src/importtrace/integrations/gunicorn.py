"""gunicorn: a worker's start-up is over when it has loaded the application.

With ``--preload`` the application is loaded before the fork. The worker's ``load_wsgi`` then
returns at once, and its mark says that this worker is ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.integrations._wrap import wrap_method

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# ASGIWorker overrides the base's method without calling it.
_CLASSES = {"gunicorn.workers.base": "Worker", "gunicorn.workers.gasgi": "ASGIWorker"}


def patch(module: ModuleType, mark_ready: Callable[[str], object]) -> Callable[[], None]:
    """Follow ``load_wsgi`` of the worker class that ``module`` defines; returns the undo."""

    def load_wsgi(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = wrapped(*args, **kwargs)
        mark_ready("gunicorn")
        return result

    return wrap_method(getattr(module, _CLASSES[module.__name__]), "load_wsgi", load_wsgi)
