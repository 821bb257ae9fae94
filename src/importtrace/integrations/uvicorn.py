"""uvicorn: start-up is over when the server listens, after the application's lifespan start-up.

With ``--workers`` and ``--reload`` the servers are child processes, started afresh, each with a
mark of its own. The supervising process serves nothing and is never ready.
"""

from importtrace.integrations._wrap import when_returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Server.startup`` of ``uvicorn.server``; returns the undo."""
    return when_returned(
        module.Server,
        "startup",
        lambda: mark_ready("uvicorn"),
        load,
        # it also returns, in some versions, when the lifespan failed
        reached=lambda server, args: server.started,
    )
