"""Standard names inside a package shadow nothing: this is an ordinary cycle."""

from tools.inspect import Finding


def dataclass(cls):
    return Finding, cls
