from api import Client

Client()
