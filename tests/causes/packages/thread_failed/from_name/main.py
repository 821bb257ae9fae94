import gates


def builder():
    import svc.core


def waiter():
    gates.wait("core started")
    import svc.client


def watcher():
    gates.wait("core started")
    gates.until_blocked("waiter", "svc.core")
    gates.open("core is waited for")


CAUGHT = gates.run(builder, waiter, watcher)
