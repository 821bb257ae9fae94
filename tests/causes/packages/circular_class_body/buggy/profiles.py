from models import Base, User


class Manager(Base):
    model = User
