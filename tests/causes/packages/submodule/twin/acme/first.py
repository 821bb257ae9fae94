"""The same half-built acme, but the statement itself makes importlib load the submodule."""

from acme import second

FIRST = second.VALUE
