"""``python -m benchmarks [--json] [NAME…]``: every cost in one run, with its target and verdict."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import imports, memory, race, spool, startup
from benchmarks.results import MeasuresNothing, Missing, Result, table

if TYPE_CHECKING:
    from collections.abc import Callable

BENCHMARKS: dict[str, Callable[[Path], list[Result]]] = {
    "boto3": lambda folder: imports.boto3(),
    "tiny": imports.tiny,
    "finished": lambda folder: imports.finished(),
    "install": startup.install,
    "memory": memory.records,
    "spool": spool.spool,
    "race": race.race,
}


def main() -> int:
    """0: all targets met; 1: one was missed; 2: a benchmark could not be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {min(unknown)!r}; there are {', '.join(BENCHMARKS)}")

    results: list[Result] = []
    missing: list[str] = []
    for name in options.names or BENCHMARKS:
        print(f"benchmarks: {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="importtrace-") as folder:
            try:
                results += BENCHMARKS[name](Path(folder))
            except Missing as reason:
                missing.append(str(reason))
            except MeasuresNothing as reason:
                print(f"benchmarks: {name}: {reason}", file=sys.stderr)
                return 2
    if options.json:
        shown = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "results": [result.to_dict() for result in results],
            "not_measured": missing,
        }
        print(json.dumps(shown, indent=2))
    else:
        print(f"\nimporttrace on Python {platform.python_version()}, {platform.machine()}\n")
        print(table(results, missing))
    return int(any(result.verdict == "MISSED" for result in results))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
