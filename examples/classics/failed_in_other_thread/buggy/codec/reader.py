try:
    from codec._speedups import decode
except ModuleNotFoundError:
    from codec._plain import decode
