def read(name: str) -> tuple[str, str]:
    from feeds.catalogue import CURRENCY

    return name, CURRENCY
