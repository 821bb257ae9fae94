"""The user's own, in front of the installed one."""

TIMEOUT = 3
