from handlers import db

MODEL = db.Model
