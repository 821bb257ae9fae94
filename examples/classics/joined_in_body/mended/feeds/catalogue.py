import functools
from concurrent.futures import ThreadPoolExecutor

from feeds import reading

CURRENCY = "EUR"


@functools.cache
def prices() -> list[tuple[str, str]]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(reading.read, ["bread", "salt"]))
