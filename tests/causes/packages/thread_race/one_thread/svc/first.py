FIRST = 1

from svc.second import SECOND  # noqa: E402

TOTAL = FIRST + SECOND
