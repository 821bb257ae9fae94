"""The user's experiment with acme_http, unluckily named."""

TRIES = 3
