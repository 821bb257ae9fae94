"""Starts, is waited for, and fails before it binds `connect`."""

import gates

gates.open("core started")
gates.wait("core is waited for")
LIMIT = int("ten")


def connect():
    return LIMIT
