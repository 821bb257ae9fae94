"""Django's ``runserver``: start-up is over when the server is bound to its port.

That is after the checks and the look at the migrations. With the reloader it is the process that
serves; the one that watches is never ready. Any Django since 4.2 calls ``on_bind``.
"""

from importtrace.integrations._wrap import when_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``Command.on_bind`` of ``runserver``; returns the undo."""
    return when_called(module.Command, "on_bind", lambda: mark_ready("django"), load)
