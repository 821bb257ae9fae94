"""acme is half-built here, and no line of it would ever import acme.second."""

import acme

FIRST = acme.second.VALUE
