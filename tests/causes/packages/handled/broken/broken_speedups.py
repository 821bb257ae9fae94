LEVEL = int("high")
