"""`fast` is absent and optional; the error is about fastlib, which was imported all right."""

import fastlib

try:
    import fast
except ImportError:
    fast = None

if fastlib.VERSION < 2:
    raise ImportError("fastlib is too old")

dumps = fastlib.dumps
