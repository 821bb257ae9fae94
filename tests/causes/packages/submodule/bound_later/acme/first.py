"""This one is circular: acme imports acme.second on its next line."""

import acme

FIRST = acme.second.VALUE
