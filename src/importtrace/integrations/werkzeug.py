"""werkzeug's server (``flask run``, ``app.run()``): start-up is over when it begins to serve.

With the reloader it is the process that serves; the one that watches only mentions the method.
"""

from importtrace.integrations._wrap import when_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``BaseWSGIServer.serve_forever`` of ``werkzeug.serving``; returns the undo."""
    return when_called(module.BaseWSGIServer, "serve_forever", lambda: mark_ready("werkzeug"), load)
