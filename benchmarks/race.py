"""The race engine: schedules a second, the reported failure from its name, a package of 1,000 modules."""

from __future__ import annotations

import compileall
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import MeasuresNothing, Result
from importtrace.race import Runner, Scenario, Schedule, explore
from importtrace.race.runner import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULES = 400
MODULES = 1_000
EXAMPLE = Path(__file__).parents[1] / "examples" / "warmup_race"


def race(folder: Path) -> list[Result]:
    return [_schedules(folder), _example(), _orders(folder)]


def _package(folder: Path, name: str, count: int) -> None:
    """Modules that import up to three earlier ones each."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    for number in range(count):
        wanted = {number * 7 % count, number * 3 % count, number // 2}
        lines = [f"from {name}.m{one} import f{one}" for one in sorted(wanted) if one < number]
        lines += [f"def f{number}():\n    return {number}", f"class C{number}:\n    x = {number}"]
        (package / f"m{number}.py").write_text("\n".join(lines) + "\n")
    compileall.compile_dir(package, quiet=1)


def _schedules(folder: Path) -> Result:
    _package(folder, "small", 20)
    scenario = Scenario.of("small.m19", "small.m18", path=(str(folder),))
    schedule = Schedule.parse("v1:small.m19,small.m18:1@body/small.m0=2")

    def jobs(count: int) -> Iterator[Job]:
        return (Job(scenario, schedule, steps=True) for _ in range(count))

    with Runner() as runner:
        for _ in runner.run_many(jobs(10)):
            pass
        begin = time.perf_counter()
        results = [result for _, result in runner.run_many(jobs(SCHEDULES))]
        seconds = time.perf_counter() - begin
    if not all(result.ok and result.followed for result in results):
        raise MeasuresNothing("a schedule of the small package failed or was not followed")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Result(
        "a schedule, package of 20 modules",
        seconds / SCHEDULES * 1e3,
        "ms",
        10.0,
        {"CPU": (used.ru_utime + used.ru_stime) / SCHEDULES * 1e3},
        f"{SCHEDULES / seconds:.0f} schedules a second on all cores",
    )


def _example() -> Result:
    begin = time.perf_counter()
    report = explore("exceptions", path=[str(EXAMPLE / "as_found"), str(EXAMPLE)])
    seconds = time.perf_counter() - begin
    if not report.proofs and report.python < "3.15":
        raise MeasuresNothing("the race of the example was not found")
    return Result(
        "the reported race, found, shrunk, proven",
        seconds,
        "s",
        5.0,
        {},
        f"{report.schedules_run} runs, from the package's name alone",
    )


def _orders(folder: Path) -> Result:
    _package(folder, "large", MODULES)
    begin = time.perf_counter()
    report = explore("large", path=[str(folder)], strategy="orders")
    seconds = time.perf_counter() - begin
    if len(report.orders) != MODULES + 1 or report.failed:
        raise MeasuresNothing("not all modules of the large package were imported first")
    # Of this process, at most.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Result(
        f"all orders of {MODULES} modules",
        seconds,
        "s",
        120.0,
        {},
        f"the controlling process took {peak:.0f} MB at most",
    )
