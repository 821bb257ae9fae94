"""Raises the very exception that was caught, as libraries with lazy requirements do."""

from app import compat

if compat.fastlib is None:
    raise compat.ERROR

dumps = compat.fastlib.dumps
