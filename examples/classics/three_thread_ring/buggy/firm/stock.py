from firm import features

if "stock" in features.ON:
    from firm.orders import Order


class Item:
    def __init__(self, order: "Order") -> None:
        self.order = order
