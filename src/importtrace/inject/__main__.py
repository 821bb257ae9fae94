"""``python -m importtrace.inject``: the directory for PYTHONPATH, and start-up files."""

from __future__ import annotations

import argparse
import sys

from importtrace.errors import ImportTraceError
from importtrace.inject import SITE, startup_file


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m importtrace.inject",
        description="Ways to trace a program without changing it; IMPORTTRACE=1 switches each on.",
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--path", action="store_true", help="print the directory for PYTHONPATH")
    action.add_argument("--install", action="store_true", help="put start-up files in place")
    action.add_argument("--remove", action="store_true", help="take them out again")
    parser.add_argument("--dir", help="another environment's site-packages")
    options = parser.parse_args(argv)
    if options.path:
        print(SITE)
        return 0
    try:
        if options.install:
            lines = [f"wrote {path}" for path in startup_file.install(options.dir)]
        else:
            lines = [f"removed {path}" for path in startup_file.remove(options.dir)]
    except ImportTraceError as error:
        print(f"importtrace: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines) or "nothing to remove")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
