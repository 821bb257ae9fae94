try:
    from fastlib import dumps
except ImportError:
    dumps = str
