import absent_beta_engine


def hook():
    return absent_beta_engine
