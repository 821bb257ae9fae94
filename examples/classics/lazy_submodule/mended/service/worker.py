from api_client import Transport
