class Order:
    item = "pen"
