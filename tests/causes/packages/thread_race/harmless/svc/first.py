"""The same hand-out, but nothing of the half-built module is asked for at import."""

import gates

FIRST = 1
gates.open("first started")
gates.wait("first is waited for")

import svc.second as second  # noqa: E402


def total():
    return FIRST + second.SECOND
