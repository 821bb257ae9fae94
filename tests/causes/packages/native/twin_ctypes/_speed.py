"""A Python module that opens a library by hand: no extension module failed to be linked."""

import ctypes

LIBRARY = ctypes.CDLL("libacme_missing.so.1")
