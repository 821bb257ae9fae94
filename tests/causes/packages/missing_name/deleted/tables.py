codec = "utf-8"
NAMES = [codec]
del codec
