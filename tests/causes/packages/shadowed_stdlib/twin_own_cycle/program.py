from calendar import EVENTS

MAIN = EVENTS
