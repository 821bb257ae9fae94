HAS_FAST = True
try:
    import fastlib
except ImportError:
    HAS_FAST = False

if HAS_FAST:
    dumps = fastlib.dumps
