class Plugin:
    pass


from acme_core.registry import load  # noqa: E402, F401
