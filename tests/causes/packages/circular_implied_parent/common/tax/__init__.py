from tax.rates import RATE

__all__ = ["RATE"]
