import config

config.load()
