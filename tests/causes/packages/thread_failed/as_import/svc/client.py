import svc.core as core

CONNECTION = core.connect()
