"""AWS Lambda: start-up (the "init" phase) is over when the runtime client first asks for an event.

The handler's module is imported by then. If that failed, the client reports it and never asks.

The trace is delivered while the first event is handled. When the client asks for the second, Lambda
freezes the process, perhaps for ever: what is still under way is waited for before. The answer to the
first event is out by then, so nobody waits for us but the bill.
"""

import sys

from importtrace.integrations._wrap import when_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any", mark_ready: "Callable[[str], object]", load: "Callable[[str], Any]" = __import__
) -> "Callable[[], None]":
    """Follow ``wait_next_invocation`` of ``awslambdaric.lambda_runtime_client``; returns the undo."""
    name = "wait_next_invocation"
    client = getattr(module, "BaseLambdaRuntimeClient", None) or module.LambdaRuntimeClient
    undo: list[Callable[[], None]] = []

    def first() -> None:
        mark_ready("awslambdaric")
        undo.append(when_called(client, name, _settle, load))

    def undo_both() -> None:
        for one in undo:
            one()

    undo.append(when_called(client, name, first, load))
    return undo_both


def _settle() -> None:
    """Wait until what is being delivered has left the sandbox, at most the export's time-out."""
    try:
        session: Any = getattr(sys.modules.get("importtrace.session"), "_current", None)
        if session is None:
            return
        session._join_delivery()
        child: Any = sys.modules.get("importtrace.exporters.child")
        if child is not None:
            child.finish(session.config.export_timeout_s)
    except Exception as error:
        from importtrace.config import warn

        warn(f"the trace may not have left this process ({type(error).__name__}: {error})")
