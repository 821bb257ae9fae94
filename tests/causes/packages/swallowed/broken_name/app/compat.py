try:
    from fastlib import dumps
except ImportError:
    pass
