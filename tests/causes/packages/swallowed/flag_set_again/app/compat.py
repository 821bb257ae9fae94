try:
    import fastlib

    HAS_FAST = True
except ImportError:
    HAS_FAST = False

WANTED = 0
HAS_FAST = bool(WANTED)
if HAS_FAST:
    dumps = fastlib.dumps
