"""What ``import importtrace; importtrace.install()`` adds to a bare interpreter, in ms."""

from __future__ import annotations

import compileall
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.processes import INSTALL, environment, output, times_ms
from benchmarks.results import MeasuresNothing, Result

ROUNDS = 41


def _package() -> Path:
    import importtrace

    return Path(importtrace.__file__).parent


def install(folder: Path) -> list[Result]:
    """Whole processes, paired; with our bytecode cached, and with ours alone not cached."""
    warm, cold = folder / "warm", folder / "cold"
    for copy in (warm, cold):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_package(), copy / "importtrace", ignore=ignore)
    compileall.compile_dir(warm, quiet=1)
    results = []
    for state, place, target, extra in (
        ("bytecode cached", warm, 2.0, {}),
        ("bytecode not cached", cold, None, {"PYTHONDONTWRITEBYTECODE": "1"}),
    ):
        env = environment(PYTHONPATH=str(place), **extra)
        where = output("import importtrace\nprint(importtrace.__file__)", env=env)
        if not where.startswith(str(place)):
            raise MeasuresNothing(f"measured {where.strip()}, not the copy in {place}")
        inside = (
            "from time import perf_counter_ns as now\nbegin = now()\n"
            + INSTALL
            + "print(now() - begin)"
        )
        cpu, wall, own = [], [], []
        for _ in range(ROUNDS):
            bare = times_ms([sys.executable, "-c", "pass"], env)
            with_us = times_ms([sys.executable, "-c", INSTALL], env)
            cpu.append(with_us[0] - bare[0])
            wall.append(with_us[1] - bare[1])
            own.append(int(output(inside, env=env)) / 1e6)
        results.append(
            Result(
                name=f"install(), {state}",
                value=statistics.median(cpu),
                unit="ms",
                target=target,
                beside={
                    "wall": statistics.median(wall),
                    "the two statements alone": statistics.median(own),
                },
                note=f"CPU time of the process over the bare one, median of {ROUNDS} pairs",
            )
        )
    if (cold / "importtrace" / "__pycache__").exists():
        raise MeasuresNothing("the cold copy was compiled to disk")
    return results
