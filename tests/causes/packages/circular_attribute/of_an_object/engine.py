class Settings:
    colour = "red"


SETTINGS = Settings()

import wheels  # noqa: E402

START = wheels.SIZE
