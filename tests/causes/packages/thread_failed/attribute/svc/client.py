import svc.core

CONNECTION = svc.core.connect()
