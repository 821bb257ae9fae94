def hook():
    return "alpha"
