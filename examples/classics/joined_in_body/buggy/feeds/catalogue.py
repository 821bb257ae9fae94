from concurrent.futures import ThreadPoolExecutor

from feeds import reading

CURRENCY = "EUR"

with ThreadPoolExecutor(2) as pool:
    PRICES = list(pool.map(reading.read, ["bread", "salt"]))
