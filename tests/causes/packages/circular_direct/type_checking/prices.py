from orders import Order


def price(order: Order) -> int:
    return len(order.item)
