"""What all errors of the service have in common. Imports nothing, so nobody can meet it half-built
on the way back to themselves."""


class ServiceError(Exception):
    """Anything that went wrong in the service."""
