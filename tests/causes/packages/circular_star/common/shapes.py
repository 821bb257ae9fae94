from colours import *  # noqa: F403


def area(side):
    return side * side
