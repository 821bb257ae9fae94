from firm import features

features.ON.add("stock")

from firm import stock
