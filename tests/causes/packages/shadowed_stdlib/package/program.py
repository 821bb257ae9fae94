import http.client

MAIN = http.client.HTTPConnection
