import http.server

MAIN = http.server.HTTPServer
