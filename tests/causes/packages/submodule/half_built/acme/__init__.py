from acme.first import FIRST

__all__ = ["FIRST"]
