"""Asks for a name that no line of orders ever binds: breaking the cycle would not help."""

from orders import Ordr


def price(order: Ordr) -> int:
    return len(order.item)
