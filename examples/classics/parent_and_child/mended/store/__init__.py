"""A key-value store. ``from store.backend import Backend``."""
