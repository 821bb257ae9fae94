class Backend:
    def get(self, key: str) -> bytes:
        raise KeyError(key)
