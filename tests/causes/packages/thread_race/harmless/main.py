import gates


def builder():
    import svc


def racer():
    gates.wait("first started")
    import svc.second


def watcher():
    gates.wait("first started")
    gates.until_blocked("racer", "svc.first")
    gates.open("first is waited for")


CAUGHT = gates.run(builder, racer, watcher)
