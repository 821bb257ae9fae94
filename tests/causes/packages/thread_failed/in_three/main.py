import gates


def builder():
    import svc.core


def first():
    gates.wait("core started")
    from svc.core import connect as a


def second():
    gates.wait("core started")
    import svc.core as core

    core.connect()


def third():
    gates.wait("core started")
    from svc.core import connect as b


def watcher():
    gates.wait("core started")
    for name in ("first", "second", "third"):
        gates.until_blocked(name, "svc.core")
    gates.open("core is waited for")


CAUGHT = gates.run(builder, first, second, third, watcher)
