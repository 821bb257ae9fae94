from problems import NotFound


def find(item):
    raise NotFound(item)
