"""``python -m importtrace`` is ``importtrace``."""

import sys

from importtrace.cli import main

if __name__ == "__main__":
    sys.exit(main())
