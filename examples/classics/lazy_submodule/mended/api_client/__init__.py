"""A client whose parts are loaded when they are first asked for (PEP 562)."""


def __getattr__(name: str) -> object:
    if name in ("Client", "Transport"):
        from api_client._parts import EXPORTED

        return EXPORTED[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
