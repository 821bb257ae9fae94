from cart import total
from lazy_cart import total as lazy_total

total(lazy_total([]) for _ in ())
