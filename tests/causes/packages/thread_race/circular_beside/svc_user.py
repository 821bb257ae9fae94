from svc.first import FIRST

USED = FIRST
