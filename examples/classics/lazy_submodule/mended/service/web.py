from api_client import Client
