class AppError(Exception):
    pass


from worker import work  # noqa: E402

if __name__ == "__main__":
    work()
