from svc.first import FIRST

__all__ = ["FIRST"]
