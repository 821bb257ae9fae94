ERROR = None
try:
    import broken_speedups
except Exception as error:
    ERROR = error
