try:
    import absent_native
except ImportError as error:
    raise ImportError("driver needs absent_native 2 or later") from error


def connect():
    return absent_native
