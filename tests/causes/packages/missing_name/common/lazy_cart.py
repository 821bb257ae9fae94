"""PEP 562: names appear when asked for."""


def __getattr__(name):
    if name == "total":
        return sum
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
