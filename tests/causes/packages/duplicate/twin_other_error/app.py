from shop.errors import NotFound
from stock import find

try:
    FIRST = find("pen")
except NotFound:
    FIRST = None
