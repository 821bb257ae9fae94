import sys

sys.modules["acme_forbidden"] = None

import acme_forbidden  # noqa: E402

VALUE = acme_forbidden
