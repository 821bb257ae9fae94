"""A class of the same name, but another file: nothing was loaded twice."""


class NotFound(Exception):
    pass
