"""The user's email package is what was meant; the standard one has no `sned` either."""

import email.sned

MAIN = email.sned
