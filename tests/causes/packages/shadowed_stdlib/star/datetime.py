"""The user's own datetime, in front of the standard one, which has its names from another file."""

NOW = None
