"""`aera` is bound nowhere; that shapes is half-built here has nothing to do with it."""

from shapes import *  # noqa: F403

DEFAULT = aera(2)  # noqa: F405, F821
