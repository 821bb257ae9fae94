from fastapi import APIRouter
from sqlalchemy import select

from shop.database import Session
from shop.models import Item

router = APIRouter()


@router.get("/items")
def items() -> list[str]:
    with Session() as session:
        return list(session.scalars(select(Item.name)))
