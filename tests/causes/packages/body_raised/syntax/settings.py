PORT = 80
HOST = = "localhost"
