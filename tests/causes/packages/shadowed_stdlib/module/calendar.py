"""The user's own calendar, in front of the standard one."""

EVENTS = []
