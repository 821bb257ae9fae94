from firm import features

features.ON.add("orders")

from firm import orders
