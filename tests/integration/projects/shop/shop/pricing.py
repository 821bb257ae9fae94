from shop.database import engine
from shop.routers.orders import CURRENCY


def price(order: int) -> str:
    return f"{order * 7} {CURRENCY} ({engine.name})"
