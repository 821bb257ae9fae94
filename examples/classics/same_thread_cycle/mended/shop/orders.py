class Order:
    def __init__(self, item: str, buyer: object) -> None:
        self.item = item
        self.buyer = buyer
