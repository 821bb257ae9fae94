import sys

import hub

hub.tables = sys.modules[__name__]
LIMIT = int("ten")
codec = "utf-8"
