"""Errors that any part of the service may raise, and those of the agent, for convenience."""

import gates

from .base import ServiceError

gates.service_half_built()

from .exceptions_agent import AgentError
