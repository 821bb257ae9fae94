from firm import features

if "orders" in features.ON:  # elsewhere, only the type is needed
    from firm.billing import Invoice


class Order:
    def bill(self) -> "Invoice":
        return Invoice(self)
