from shapes import *  # noqa: F403

DEFAULT = area(2)  # noqa: F405
