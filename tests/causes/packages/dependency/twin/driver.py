"""An exception raised from another that no import raised."""

try:
    LEVEL = int("high")
except ValueError as error:
    raise RuntimeError("the driver cannot start") from error


def connect():
    return LEVEL
