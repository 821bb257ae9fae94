"""The statement that binds `codec` runs and fails; no import is involved in that."""

try:
    codec = open("/nonexistent/codec.table")
except OSError:
    pass
