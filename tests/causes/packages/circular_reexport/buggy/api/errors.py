from api import Client


class ApiError(Exception):
    client: Client
