import gates


def builder():
    import svc


def racer():
    import svc.second


CAUGHT = {**gates.run(builder), **gates.run(racer)}
