__all__ = ["first", "secnd"]

first = 1
second = 2
