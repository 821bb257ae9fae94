"""Never mentions tax.rates: `import tax.currency` loads tax first, and tax loads it."""

from tax.currency import EUR


def round_to(amount):
    return round(amount), EUR
