from tables import *  # noqa: F403

VALUE = 1
