import gates


def builder():
    try:
        import svc
    finally:
        gates.open("svc failed")


def waiter():
    gates.wait("svc started")
    import svc.child


CAUGHT = gates.run(builder, waiter)
