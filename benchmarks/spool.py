"""What the crash-safe spool adds to an import, in µs: alone, and beside a thread that never rests.

Beside such a thread every system call hands the interpreter's lock over, and waits to get it back;
``os.write`` of the same records is measured for comparison.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from benchmarks.processes import INSTALL, Variant, environment, output
from benchmarks.results import MeasuresNothing, Result

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES, MODULES = 50, 40
ROUNDS = 15
TARGET_US = 5.0

# Imports the packages, then says how long the imports took, in ns of CPU time, and how many they were.
IMPORTS = """
import sys, time
sys.path.insert(0, {folder!r})
begin = time.process_time_ns()
for number in range({packages}):
    __import__(f"package_{{number:03}}")
spent = time.process_time_ns() - begin
print(spent, sum(name.startswith("package_") for name in sys.modules))
"""

# Tells the spool of loads that were recorded, over and over; ns of each load: CPU time, wall time, and
# wall time of os.write with records of the same length.
HOOKS = """
import importtrace.session, os, sys, threading, time
from importtrace._recorder import begin_load
session = importtrace.session._current
spool, state = session._spool, session._recorder.state()
loads, parent = [], None
from importlib.machinery import SourceFileLoader
for number in range(2_000):
    name = f"distribution.package.module_{number:04}"
    folder = "/usr/lib/python3/dist-packages/distribution/package"
    asked = parent.origin if parent is not None else folder + "/__init__.py"
    importer = parent.name if parent is not None else "distribution.package"
    load = begin_load(name, state, parent, time.perf_counter_ns(), asked, 12, importer, None)
    load.origin, load.loader, load.simple = f"{folder}/module_{number:04}.py", SourceFileLoader, True
    load.found = load.body = load.begin + 80_000
    load.end = load.begin + 400_000
    loads.append(load)
    parent = load if number % 5 else None
busy = __BUSY__
def burn():
    while busy:
        pass
if busy:
    threading.Thread(target=burn, daemon=True).start()
def best(call, clock):
    found = []
    for _ in range(5):
        begin = clock()
        call()
        found.append((clock() - begin) / len(loads))
    return min(found)
def hooks():
    for load in loads:
        spool.began(load)
        spool.entered(load)
        spool.kept(load)
def writes():
    for _ in loads[:100]:
        os.write(target, record)
        os.write(target, record)
        os.write(target, record)
cpu, wall = best(hooks, time.thread_time_ns), best(hooks, time.perf_counter_ns)
target, record = os.open(os.devnull, os.O_WRONLY), b"x" * 100
written = best(writes, time.perf_counter_ns) * len(loads) / 100
lost = spool._file._lost
busy = False
print(cpu, wall, written, lost)
sys.stdout.flush()
os._exit(0)
"""


def spool(folder: Path) -> list[Result]:
    """Imports with the spool over imports without; and its own part alone, beside a busy thread."""
    _write_packages(folder)
    program = IMPORTS.format(folder=str(folder), packages=PACKAGES)
    traced = Variant("traced", INSTALL)
    with_spool = environment(IMPORTTRACE_SPOOL=str(folder / "spool"), IMPORTTRACE_SPOOL_FILES="3")
    output(program, traced)  # writes the bytecode
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for spooled in (True, False) if number % 2 else (False, True):  # neither is always first
            env = with_spool if spooled else environment()
            spent[spooled].append(_imports(output(program, traced, env)))
    # The least of each: what other processes do to the caches only ever adds.
    least = min(spent[False])
    results = [
        Result(
            name="spool, added to an import, CPU time",
            value=min(spent[True]) - least,
            unit="µs",
            target=TARGET_US,
            beside={"medians": statistics.median(spent[True]) - statistics.median(spent[False])},
            note=f"least of {ROUNDS} rounds of {PACKAGES * (MODULES + 1)} imports with, less that "
            f"without, which is {least:.0f} µs an import",
        )
    ]
    for busy, name in ((False, "alone"), (True, "beside a busy thread")):
        printed = output(HOOKS.replace("__BUSY__", str(busy)), traced, with_spool)
        cpu, wall, written, lost = (float(word) / 1e3 for word in printed.split())
        if lost:
            raise MeasuresNothing(f"{lost * 1e3:.0f} records did not fit")
        results.append(
            Result(
                name=f"spool, its three records of an import, {name}",
                value=cpu,
                unit="µs",
                target=TARGET_US,
                beside={"wall": wall, "wall of three os.write": written},
            )
        )
    return results


def _imports(printed: str) -> float:
    """µs of each import."""
    spent, count = map(int, printed.split())
    if count < PACKAGES * MODULES:
        raise MeasuresNothing(f"only {count} modules were imported")
    return spent / count / 1e3


def _write_packages(folder: Path) -> None:
    for number in range(PACKAGES):
        package = folder / f"package_{number:03}"
        package.mkdir()
        names = [f"module_{one:03}" for one in range(MODULES)]
        (package / "__init__.py").write_text(
            "\n".join(f"import {package.name}.{name}" for name in names) + "\n"
        )
        for name in names:
            (package / f"{name}.py").write_text(f"NAME = {json.dumps(name)}\n")
