from firm.types import Item, Order


def reserve(order: Order) -> Item:
    return Item(order)
