VERSION = "1.0"

from shop.service import Service  # noqa: E402

__all__ = ["VERSION", "Service"]
