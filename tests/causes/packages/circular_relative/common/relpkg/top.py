from .sub.deep import Deep


class Top:
    deep = Deep
