from errors import NotFound


def find(item):
    raise NotFound(item)
