from svc.first import FIRST

SECOND = FIRST + 1
