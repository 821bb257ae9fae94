"""errors.py is loaded twice, but nobody tries to catch a NotFound: by one name it would be the same."""

import shop.errors  # noqa: F401
from stock import find

FIRST = find("pen")
