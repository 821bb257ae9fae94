"""After a change that went wrong: ``uvicorn shop.broken:app`` dies of an ImportError."""

from fastapi import FastAPI

from shop.routers import orders

app = FastAPI()
app.include_router(orders.router)
