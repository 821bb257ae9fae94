class Base:
    kind = "base"


class User(Base):
    import profiles

    manager = profiles.Manager
