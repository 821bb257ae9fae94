ERROR = None
try:
    from string import absent_function
except ImportError as error:
    ERROR = error
