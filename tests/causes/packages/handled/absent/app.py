ERROR = None
try:
    import absent_speedups
except ImportError as error:
    ERROR = error
