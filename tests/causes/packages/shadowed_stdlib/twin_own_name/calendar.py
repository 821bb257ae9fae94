def events():
    return []
