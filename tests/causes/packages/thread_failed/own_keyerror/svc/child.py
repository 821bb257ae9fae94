"""Raises a KeyError of its own that looks like importlib's."""

import gates

gates.open("child started")
gates.wait("svc failed")
TABLE = {}
VALUE = TABLE["svc"]
