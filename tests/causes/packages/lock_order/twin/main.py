import gates


def parent():
    import svc


def child():
    import svc.child


CAUGHT = {**gates.run(child), **gates.run(parent)}
