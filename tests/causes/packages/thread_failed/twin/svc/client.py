from svc.core import connect

CONNECTION = connect()
