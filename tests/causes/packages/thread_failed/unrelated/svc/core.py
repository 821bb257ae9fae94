LIMIT = int("ten")


def connect():
    return LIMIT
