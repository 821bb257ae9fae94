"""Starts, is waited for, and succeeds."""

import gates

gates.open("core started")
gates.wait("core is waited for")


def connect():
    return 10
