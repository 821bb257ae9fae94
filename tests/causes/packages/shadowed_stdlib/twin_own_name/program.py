"""The user's calendar is what was meant; the standard one has no `evnts` either."""

from calendar import evnts

MAIN = evnts
