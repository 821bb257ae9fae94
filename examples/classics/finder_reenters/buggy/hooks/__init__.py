"""Counts the modules that are found; installed by importing ``hooks.counting``."""
