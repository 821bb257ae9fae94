"""`import svc.child` holds the child's lock and wants svc's; `import svc` holds svc's and wants the child's."""

import importlib.machinery
import sys

import gates


class SlowLoader(importlib.machinery.SourceFileLoader):
    """As slow a file system would make it: svc is locked, and not yet in sys.modules."""

    def create_module(self, spec):
        gates.open("svc locked")
        gates.wait("svc is waited for")
        return None


class SlowFinder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "svc":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        spec.loader = SlowLoader(name, spec.origin)
        return spec


sys.meta_path.insert(0, SlowFinder)


def parent():
    import svc


def child():
    gates.wait("svc locked")
    import svc.child


def watcher():
    gates.wait("svc locked")
    gates.until_blocked("child", "svc")
    gates.open("svc is waited for")


CAUGHT = gates.run(parent, child, watcher)
