from helpers import port

PORT = port("eighty")
