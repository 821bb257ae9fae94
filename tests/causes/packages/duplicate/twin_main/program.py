"""The same two files as in main_again, but none of them is __main__."""


class AppError(Exception):
    pass


from worker import work  # noqa: E402, F401
