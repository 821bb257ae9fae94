"""errors.py is loaded twice, and that has nothing to do with this."""

from errors import NotFound


def find(item):
    if not item:
        raise NotFound(item)
    return int(item)
