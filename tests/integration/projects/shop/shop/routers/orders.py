from fastapi import APIRouter

from shop.pricing import price

router = APIRouter()

CURRENCY = "EUR"


@router.get("/orders/{order}/price")
def order_price(order: int) -> str:
    return price(order)
