"""Orders need prices."""

from prices import price


class Order:
    item = "pen"


def total(orders):
    return sum(price(order) for order in orders)
