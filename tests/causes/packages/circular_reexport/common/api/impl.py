from api.errors import ApiError


class Client:
    error = ApiError
