from acme.first import FIRST
from acme import second

__all__ = ["FIRST", "second"]
