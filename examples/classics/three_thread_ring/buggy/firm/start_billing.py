from firm import features

features.ON.add("billing")

from firm import billing
