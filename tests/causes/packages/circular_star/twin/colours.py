from shapes import *  # noqa: F403


def default():
    return 4
