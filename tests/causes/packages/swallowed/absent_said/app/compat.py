try:
    import fastlib
except ImportError:
    fastlib = None
