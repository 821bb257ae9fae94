"""What is missing is an attribute of a bound, finished object; engine's state does not matter."""

import engine

SIZE = engine.SETTINGS.size
