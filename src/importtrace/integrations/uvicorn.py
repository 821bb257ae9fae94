"""uvicorn: start-up is over when the server listens, after the application's lifespan start-up.

With ``--workers`` and ``--reload`` the servers are child processes, started afresh, each with a
mark of its own. The supervising process serves nothing and is never ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.integrations._wrap import wrap_method

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def patch(module: ModuleType, mark_ready: Callable[[str], object]) -> Callable[[], None]:
    """Follow ``Server.startup`` of ``uvicorn.server``; returns the undo."""

    async def startup(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:  # a traceback without this frame, as without us
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        if instance.started:  # it also returns, in some versions, when the lifespan failed
            mark_ready("uvicorn")
        return result

    return wrap_method(module.Server, "startup", startup)
