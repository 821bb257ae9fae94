ON: set[str] = set()
