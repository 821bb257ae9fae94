"""``python -m importtrace`` is ``importtrace``: the current folder is not on ``sys.path``.

Where it holds a file `json.py` or `argparse.py`, that would be imported in place of the standard one.
"""

import os
import sys

if __name__ == "__main__":
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[
            0
        ]  # `-m` has put it there; our own files are found by the package's `__path__`

    from importtrace.cli import main

    sys.exit(main())
