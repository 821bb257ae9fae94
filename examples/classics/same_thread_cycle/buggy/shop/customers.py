from shop.orders import Order


class Customer:
    def __init__(self, name: str) -> None:
        self.name = name

    def order(self, item: str) -> Order:
        return Order(item, self)
