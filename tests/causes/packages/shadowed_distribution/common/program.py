from acme_http import Client

MAIN = Client
