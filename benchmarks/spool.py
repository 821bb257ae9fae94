"""What the crash-safe spool adds to an import, in µs: alone, and beside a thread that never rests.

Measured where it happens: the time of each of its three calls of an import, in a process that imports
2,050 small modules, so with the caches as an import leaves them; the median, since a call in which the
thread lost its processor says nothing. Beside it the CPU time of whole runs with and without, which also
has what it displaces from the caches, and what else the machine does; and the calls over and over, with
warm caches.

Beside a busy thread every system call hands the interpreter's lock over, and waits to get it back;
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

# `__BURN__` in the programs below: from here on beside a thread that never rests, where it is wanted.
BURN = """
busy = {busy}
def burn():
    while busy:
        pass
if busy:
    threading.Thread(target=burn, daemon=True).start()
"""

# Each of the spool's calls, timed where it is made.
IN_PLACE = """
import importtrace._spool as module, statistics, sys, threading
from time import perf_counter_ns as clock
hooks, costs = module.hooks, ([], [], [])
def timed(call, add):
    def measured(record):
        first = clock()
        begin = clock()
        call(record)
        add(clock() - begin - (begin - first))
    return measured
def measured_hooks(spool):
    *calls, attach = hooks(spool)
    return *(timed(call, times.append) for call, times in zip(calls, costs)), attach
module.hooks = measured_hooks
import importtrace
importtrace.install(log="off", spans="off")
__BURN__
"""
IN_PLACE_END = """
busy = False
print(sum(map(statistics.median, costs)), min(map(len, costs)))
"""

# Tells the spool of packages of 20 modules that were recorded, over and over; ns of each load: CPU time,
# wall time, and wall time of os.write with records of the same length.
HOOKS = """
import importtrace.session, os, sys, threading, time
from importtrace._recorder import begin_load
session = importtrace.session._current
spool, state = session._spool, session._recorder.state()
loads, groups, parent = [], [], None
from importlib.machinery import SourceFileLoader
for number in range(2_000):
    name = f"distribution.package.module_{number:04}"
    folder = "/usr/lib/python3/dist-packages/distribution/package"
    asked = parent.origin if parent is not None else folder + "/__init__.py"
    importer = parent.name if parent is not None else "distribution.package"
    load = begin_load(name, state, parent, time.perf_counter_ns(), asked, 12, importer, None)
    load.origin, load.loader = f"{folder}/module_{number:04}.py", SourceFileLoader
    load.found = load.body = load.begin + 80_000
    load.end = load.begin + 400_000
    loads.append(load)
    if parent is None:
        parent, inside = load, []
        groups.append((load, inside))
    else:
        inside.append(load)
        if len(inside) == 19:
            parent = None
__BURN__
def best(call, clock):
    found = []
    for _ in range(5):
        begin = clock()
        call()
        found.append((clock() - begin) / len(loads))
    return min(found)
def hooks():
    began, entered, kept = spool.began, spool.entered, spool.kept
    for parent, inside in groups:
        began(parent)
        entered(parent)
        for load in inside:
            began(load)
            entered(load)
            kept(load)
        kept(parent)
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
    least = min(spent[False])
    difference = statistics.median(spent[True]) - statistics.median(spent[False])
    results = []
    for busy, name in ((False, "among imports"), (True, "among imports, beside a busy thread")):
        program_in_place = (
            IN_PLACE.replace("__BURN__", BURN.format(busy=busy)) + program + IN_PLACE_END
        )
        printed = output(program_in_place, Variant("timed"), with_spool).splitlines()[-1]
        median, count = printed.split()
        if int(count) < PACKAGES * MODULES:
            raise MeasuresNothing(f"only {count} imports were told")
        results.append(
            Result(
                name=f"spool, its three records of an import, {name}",
                value=float(median) / 1e3,
                unit="µs",
                target=TARGET_US,
                beside={} if busy else {"CPU time of whole runs": difference},
                note=""
                if busy
                else f"medians; an import takes {least:.0f} µs without it; whole runs: {ROUNDS} with, "
                f"{ROUNDS} without, of {PACKAGES * (MODULES + 1)} imports",
            )
        )
    for busy, name in ((False, "warm"), (True, "warm, beside a busy thread")):
        printed = output(HOOKS.replace("__BURN__", BURN.format(busy=busy)), traced, with_spool)
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
