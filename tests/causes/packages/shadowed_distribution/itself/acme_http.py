"""The classic: a script that tries a library and bears its name, and so imports itself."""

from acme_http import Client

CLIENT = Client()
