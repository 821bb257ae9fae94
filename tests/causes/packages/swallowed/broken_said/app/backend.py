from app import compat

if compat.fastlib is None:
    raise ImportError("fastlib is not installed")

dumps = compat.fastlib.dumps
