try:
    import fastlib
except ImportError:
    fastlib = None

if fastlib is None:
    pass
else:
    dumps = fastlib.dumps
