from framework.apps import setup

__all__ = ["setup"]
