try:
    import _speed
except ImportError as error:
    raise ImportError("the fast path cannot be used here") from error

VALUE = _speed
