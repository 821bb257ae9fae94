from jobs import rates

PRICE = 100 + rates.VAT
