"""The errors of the service, in one place."""

import gates


def __getattr__(name):
    # Thread 3 comes by here when it looks for ServiceError. Without this gate it would start the
    # package again so early that thread 2 sometimes found its parent after all.
    gates.name_looked_up()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


from .exceptions_service import AgentError, ServiceError

__all__ = ["AgentError", "ServiceError"]
