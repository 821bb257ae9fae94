def connection():
    return 1
