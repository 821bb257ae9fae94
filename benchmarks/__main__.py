"""``python -m benchmarks [--json] [NAME…]``: every cost in one run, with its target and verdict."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import imports, memory, race, scale, spool, startup
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


def _application(key: str, _: Path) -> list[Result]:
    return scale.application(key)


# `scale` is all of these; they need packages and many minutes, and run only where they are named
SCALE: dict[str, Callable[[Path], list[Result]]] = {
    "scale-growth": lambda folder: scale.growth(),
    **{f"scale-{key}": partial(_application, key) for key in scale.APPLICATIONS},
    "scale-generated": scale.generated,
}


def main() -> int:
    """0: all targets met; 1: one was missed; 2: a benchmark could not be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join([*BENCHMARKS, "scale", *SCALE])
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    options = parser.parse_args()
    known = {**BENCHMARKS, **SCALE}
    names: list[str] = []
    for name in options.names or BENCHMARKS:
        names += SCALE if name == "scale" else [name]
    unknown = set(names) - set(known)
    if unknown:
        there = ", ".join([*BENCHMARKS, "scale", *SCALE])
        parser.error(f"no benchmark {min(unknown)!r}; there are {there}")

    results: list[Result] = []
    missing: list[str] = []
    for name in names:
        print(f"benchmarks: {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="importtrace-") as folder:
            try:
                results += known[name](Path(folder))
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
