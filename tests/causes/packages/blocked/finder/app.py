import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "acme_forbidden":
            raise ImportError("acme_forbidden is not allowed here", name=name)
        return None


sys.meta_path.insert(0, Refuse())

import acme_forbidden  # noqa: E402

VALUE = acme_forbidden
