import gates


def builder():
    try:
        import svc.core
    finally:
        gates.open("core failed")


def waiter():
    gates.wait("core failed")
    import svc.client


CAUGHT = gates.run(builder, waiter)
