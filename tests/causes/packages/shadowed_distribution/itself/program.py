import acme_http

MAIN = acme_http
