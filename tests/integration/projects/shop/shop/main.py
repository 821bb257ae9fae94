"""The service as it works: ``uvicorn shop.main:app``."""

from contextlib import asynccontextmanager

from fastapi import FastAPI

from shop.database import Session, engine
from shop.models import Base, Item
from shop.routers import items


@asynccontextmanager
async def lifespan(app: FastAPI):
    Base.metadata.create_all(engine)
    with Session.begin() as session:
        session.add(Item(name="lamp"))
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(items.router)
