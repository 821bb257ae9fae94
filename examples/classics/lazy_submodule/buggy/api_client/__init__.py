"""A client whose parts are loaded when they are first asked for (PEP 562)."""

_ready = False


def __getattr__(name: str) -> object:
    global _ready
    if not _ready:
        _ready = True
        from api_client import _parts

        globals().update(_parts.EXPORTED)
    try:
        return globals()[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
