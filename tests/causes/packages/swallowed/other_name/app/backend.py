"""An optional import fails and is caught; the misspelt name below is another matter."""

try:
    import fastlib
except ImportError:
    pass

dumps = fast_lb.dumps
