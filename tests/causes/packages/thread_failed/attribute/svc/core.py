import gates

gates.open("core started")
gates.wait("core is waited for")
LIMIT = int("ten")


def connect():
    return LIMIT
