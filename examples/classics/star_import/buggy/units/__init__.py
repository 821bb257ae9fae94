"""Units of length, and the factors between them."""

from .scale import *
