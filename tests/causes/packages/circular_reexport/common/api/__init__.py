from api.public import Client

__all__ = ["Client"]
