from ..top import Top


class Deep:
    top = Top
