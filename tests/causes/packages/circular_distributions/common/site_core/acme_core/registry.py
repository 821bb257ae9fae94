from acme_plugins import PLUGINS


def load():
    return PLUGINS
