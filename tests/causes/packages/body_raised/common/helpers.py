def port(text):
    return int(text)
