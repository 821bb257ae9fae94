from models import Base


class Manager(Base):
    pass
