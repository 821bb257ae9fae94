from firm.types import Invoice, Order


def bill(order: Order) -> Invoice:
    return Invoice(order)
