"""Meets a module that outlived its failed import."""

import hub

try:
    import tables  # noqa: F401
except ValueError:
    pass

VALUE = hub.tables.codec
