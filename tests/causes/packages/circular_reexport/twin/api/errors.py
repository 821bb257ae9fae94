"""Comes back to api as well, for a submodule nobody has loaded yet: importlib loads it."""

from api import codes


class ApiError(Exception):
    code = codes.GENERAL
