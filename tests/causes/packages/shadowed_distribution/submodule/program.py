from acme_http.errors import HttpError

MAIN = HttpError
