try:
    from codec._speedups import encode
except ModuleNotFoundError:
    from codec._plain import encode
