import importlib

import settings

settings.TEXT = "eighty"
VALUE = importlib.reload(settings)
