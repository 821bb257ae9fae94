def hook():
    return "beta"
