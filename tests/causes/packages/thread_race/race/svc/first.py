"""Every order of imports in one thread works: svc always comes first, and loads this."""

import gates

FIRST = 1
gates.open("first started")
gates.wait("first is waited for")

from svc.second import SECOND  # noqa: E402

TOTAL = FIRST + SECOND
