from acme_core.registry import load


class Plugin:
    loader = load
