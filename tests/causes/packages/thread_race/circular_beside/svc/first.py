"""Two threads, but the failing cycle is one thread's own: it fails in any order."""

import gates

gates.open("first started")
gates.wait("first is waited for")

from svc.second import SECOND  # noqa: E402

FIRST = SECOND
