"""Named like a standard module, but the cycle is among the user's own files."""

from holidays_of_mine import HOLIDAYS

EVENTS = [*HOLIDAYS]
