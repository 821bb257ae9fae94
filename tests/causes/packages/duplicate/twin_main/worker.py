from program import AppError


def work():
    return AppError
