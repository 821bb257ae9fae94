try:
    import fastlib
except ImportError:
    FAST = False
else:
    FAST = True
    dumps = fastlib.dumps
