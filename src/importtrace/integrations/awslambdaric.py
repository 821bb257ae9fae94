"""AWS Lambda: start-up (the "init" phase) is over when the runtime client first asks for an event.

The handler's module is imported by then. If that failed, the client reports it and never asks.
"""

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
    return when_called(client, name, lambda: mark_ready("awslambdaric"), load)
