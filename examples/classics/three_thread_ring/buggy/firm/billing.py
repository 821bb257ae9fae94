from firm import features

if "billing" in features.ON:
    from firm.stock import Item


class Invoice:
    def __init__(self, order: object) -> None:
        self.order = order

    def items(self) -> "list[Item]":
        return [Item(self.order)]
