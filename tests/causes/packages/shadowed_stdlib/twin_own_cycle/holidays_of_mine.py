from calendar import EVENTS

HOLIDAYS = [EVENTS]
