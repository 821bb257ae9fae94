"""Binds Order before it imports prices: the cycle does no harm."""


class Order:
    item = "pen"


from prices import price  # noqa: E402


def total(orders):
    return sum(price(order) for order in orders)
