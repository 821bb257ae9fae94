"""Fails when called, after the import: no import has to do with it."""

PORT = "eighty"
