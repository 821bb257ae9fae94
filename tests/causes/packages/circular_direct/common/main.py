import orders

orders.total([])
