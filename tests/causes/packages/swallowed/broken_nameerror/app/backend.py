try:
    import fastlib
except Exception:
    pass

LIMIT = 10

dumps = fastlib.dumps
