try:
    import middle
except ImportError as error:
    raise RuntimeError("the driver cannot start") from error


def connect():
    return middle
