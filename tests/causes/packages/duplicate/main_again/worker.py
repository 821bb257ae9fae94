"""`main` is running as __main__; this loads it a second time, and that one comes back here."""

from main import AppError


def work():
    return AppError
