try:
    import fastlib
except ImportError as error:
    fastlib = None
    ERROR = error
