"""Looks at the exception while it is still inside the outermost load, and lets it go on."""

import builtins

try:
    import absent_speedups
except ImportError as error:
    builtins.NOTES_WITHIN = list(getattr(error, "__notes__", ()))
    raise
