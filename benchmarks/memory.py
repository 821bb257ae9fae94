"""Bytes a recorded import keeps, and that the bound on them holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.imports import write_modules
from benchmarks.processes import IMPORTTIME, PLAIN, TRACED, Variant, output
from benchmarks.results import MeasuresNothing, Result

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = 20_000
BOUND = 5_000

PROGRAM = """
import gc, sys, tracemalloc
sys.path.insert(0, {folder!r})
names = ["tiny_%05d" % number for number in range({count})]
__import__("tiny_warm")
gc.collect(); tracemalloc.start()
kept = []
for number, name in enumerate(names, 1):
    __import__(name)
    if number % {step} == 0:
        gc.collect(); kept.append(tracemalloc.get_traced_memory()[0])
tracemalloc.stop()
print(kept)
"""

COUNTS = """
trace = importtrace.trace()
print(len(trace.records), trace.header.get("dropped", 0))
"""


def _kept(folder: Path, variant: Variant, after: str = "") -> tuple[list[int], list[str]]:
    """Bytes allocated and alive after each quarter of the imports, and what ``after`` printed."""
    program = PROGRAM.format(folder=str(folder), count=IMPORTS, step=IMPORTS // 4)
    first, *rest = output(program + after, variant).splitlines()
    return json.loads(first), rest


def records(folder: Path) -> list[Result]:
    """Live memory with install() less that without, over 20,000 imports of files."""
    write_modules(folder, IMPORTS)
    (folder / "tiny_warm.py").write_text("")
    _kept(folder, PLAIN)  # compiles
    plain, _ = _kept(folder, PLAIN)
    traced, counts = _kept(folder, TRACED, COUNTS)
    recorded, dropped = map(int, counts[0].split())
    if recorded < IMPORTS or dropped:
        raise MeasuresNothing(f"{recorded} records and {dropped} dropped for {IMPORTS} imports")
    importtime, _ = _kept(folder, IMPORTTIME)

    bounded_prelude = TRACED.prelude.replace("install(", f"install(max_records={BOUND}, ")
    bounded, counts = _kept(folder, Variant("bounded", bounded_prelude), COUNTS)
    recorded, dropped = map(int, counts[0].split())
    if not dropped or recorded + dropped < IMPORTS:
        raise MeasuresNothing(f"{recorded} records and {dropped} dropped for {IMPORTS} imports")
    growth = (bounded[-1] - bounded[-2]) - (plain[-1] - plain[-2])
    return [
        Result(
            name="memory of a recorded import",
            value=(traced[-1] - plain[-1]) / IMPORTS,
            unit="bytes",
            target=500,
            beside={"-X importtime": (importtime[-1] - plain[-1]) / IMPORTS},
            note=f"{IMPORTS:,} imports, tracemalloc; a module without tracing keeps "
            f"{plain[-1] / IMPORTS:,.0f}",
        ),
        Result(
            name="records kept over max_records",
            value=recorded / BOUND,
            unit="ratio",
            target=1.0,
            note=f"max_records={BOUND}: {recorded:,} kept, {dropped:,} counted as dropped",
        ),
        Result(
            name="memory of an import past max_records",
            value=growth / (IMPORTS // 4),
            unit="bytes",
            target=1,
            note=f"growth over the last {IMPORTS // 4:,} imports",
        ),
    ]
