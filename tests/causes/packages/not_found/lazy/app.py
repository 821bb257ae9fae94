def work():
    import absent_engine

    return absent_engine
