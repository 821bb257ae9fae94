"""Errors that any part of the service may raise, and those of the agent, for convenience."""

import gates


class ServiceError(Exception):
    """Anything that went wrong in the service."""


gates.service_half_built()

from .exceptions_agent import AgentError
