from shop import customers


class Order:
    def __init__(self, item: str, buyer: "customers.Customer") -> None:
        self.item = item
        self.buyer = buyer


def walk_in(item: str) -> Order:
    return Order(item, customers.Customer("somebody"))
