import engine

SIZE = 1


def start():
    return engine.START
