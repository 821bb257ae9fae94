try:
    codec = open("/nonexistent/codec.table")
except OSError:
    codec = None
