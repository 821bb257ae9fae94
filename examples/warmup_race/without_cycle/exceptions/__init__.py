"""The errors of the service, in one place."""

from .exceptions_service import AgentError, ServiceError

__all__ = ["AgentError", "ServiceError"]
