from shop.service import Service

VERSION = "1.0"
__all__ = ["VERSION", "Service"]
