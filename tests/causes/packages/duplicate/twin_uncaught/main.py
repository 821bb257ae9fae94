import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "shop"))

import app  # noqa: E402

app.FIRST
