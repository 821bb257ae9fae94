class Order:
    pass


class Invoice:
    def __init__(self, order: Order) -> None:
        self.order = order


class Item:
    def __init__(self, order: Order) -> None:
        self.order = order
