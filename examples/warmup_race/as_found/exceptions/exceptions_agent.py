"""Errors of the agent."""

import gates

from .exceptions_service import ServiceError


class AgentError(ServiceError):
    """The agent gave no answer."""


gates.agent_built()
