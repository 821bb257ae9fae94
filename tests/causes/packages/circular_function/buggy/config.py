def load():
    from plugins import REGISTRY

    return dict(REGISTRY)


SETTINGS = load()
