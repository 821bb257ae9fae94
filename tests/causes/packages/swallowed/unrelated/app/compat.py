"""An optional import failed here, and has nothing to do with the misspelt name."""

try:
    import fastlib
except ImportError:
    fastlib = None


def dumps(value):
    return str(value)
