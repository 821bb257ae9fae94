import sys


class Pass:
    def find_spec(self, name, path=None, target=None):
        return None


sys.meta_path.insert(0, Pass())
sys.modules["acme_other"] = None

import acme_forbidden  # noqa: E402

VALUE = acme_forbidden
