"""``python -m importtrace`` is ``importtrace``: the current folder is not on ``sys.path``.

Where a file `json.py` or `argparse.py` lies in it, that file would be imported in place of ours.
"""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # `-m` has put it there; without it we are found by our own `__path__`

    from importtrace.cli import main

    sys.exit(main())
