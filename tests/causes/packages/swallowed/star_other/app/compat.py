try:
    from fastlib import *
except ImportError:
    pass
