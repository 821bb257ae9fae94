"""The user's own socketserver, in front of the standard one."""

PORT = 8080
