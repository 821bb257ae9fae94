"""The user's own package, in front of the standard one."""
