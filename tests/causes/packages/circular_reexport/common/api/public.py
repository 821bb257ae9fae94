from api.impl import Client

__all__ = ["Client"]
