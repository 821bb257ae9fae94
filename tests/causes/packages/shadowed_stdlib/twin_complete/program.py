"""A user's file with a standard name that nobody else asks for: no harm done."""

import statistics

MAIN = statistics.mine()
