from handlers import Base


class JsonBase(Base):
    pass
