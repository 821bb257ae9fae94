"""Whole applications, beside other tools in the same run; and that an import costs the same however many
others there were, whatever the threads and finders.

What a tool's own start costs is in its number, as ``install()`` is in ours.
"""

from __future__ import annotations

import importlib.util
import statistics
from typing import TYPE_CHECKING

from benchmarks.imports import _check_recorded
from benchmarks.processes import (
    IMPORTTIME,
    PLAIN,
    TRACED,
    Variant,
    command,
    environment,
    instructions,
    output,
    times_ms,
)
from benchmarks.results import MeasuresNothing, Missing, Result

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 9
# each records or samples from its start to the end of the program, and writes nothing
TOOLS = {
    "ddtrace": "import ddtrace.auto\n",
    "viztracer": "import viztracer\n_tracer = viztracer.VizTracer(verbose=0)\n_tracer.start()\n",
    "pyinstrument": "import pyinstrument\n_profiler = pyinstrument.Profiler()\n_profiler.start()\n",
}
AFTER = {"viztracer": "_tracer.stop()\n", "pyinstrument": "_profiler.stop()\n"}
QUIET = {
    "DD_TRACE_ENABLED": "false",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}

APPLICATIONS = {
    "boto3": ("boto3", "import boto3\n"),
    "pandas": ("pandas", "import pandas\n"),
    "django": (
        "django rest_framework",
        "import django\nfrom django.conf import settings\n"
        "settings.configure(SECRET_KEY='x', USE_TZ=True, DATABASES={}, INSTALLED_APPS=["
        "'django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes', "
        "'django.contrib.sessions', 'django.contrib.messages', 'rest_framework'])\n"
        "django.setup()\nimport rest_framework.routers, rest_framework.viewsets\n",
    ),
    "fastapi": (
        "fastapi sqlalchemy",
        "import fastapi, fastapi.responses, sqlalchemy, sqlalchemy.orm\n"
        "import sqlalchemy.dialects.sqlite\napp = fastapi.FastAPI()\n",
    ),
}
PACKAGES = {"rest_framework": "djangorestframework"}  # distributions of other names
TITLES = {"django": "Django + REST framework", "fastapi": "FastAPI + SQLAlchemy"}


def _tools() -> list[Variant]:
    """Those that are installed here."""
    return [
        Variant(name, prelude)
        for name, prelude in TOOLS.items()
        if importlib.util.find_spec(name) is not None
    ]


def _environment() -> dict[str, str]:
    return environment(PYTHONHASHSEED="0", **QUIET)


def _ended(program: str, variant: Variant) -> str:
    return program + AFTER.get(variant.name, "")


def _cpu(program: str, rounds: int, variants: list[Variant]) -> dict[str, list[float]]:
    """CPU milliseconds of whole processes, by variant; the order turns with each round."""
    found: dict[str, list[float]] = {variant.name: [] for variant in variants}
    env = _environment()
    for number in range(-1, rounds):  # the first compiles and warms up, and does not count
        turn = number % len(variants)
        for variant in variants[turn:] + variants[:turn]:
            spent, _ = times_ms(command(_ended(program, variant), variant), env)
            if number >= 0:
                found[variant.name].append(spent)
    return found


def _cpu_over(program: str, name: str, rounds: int, target: float | None) -> Result:
    """CPU time of the program over that without, the bare interpreter taken off."""
    variants = [PLAIN, TRACED, IMPORTTIME, *_tools()]
    spent = _cpu(program, rounds, variants)
    bare = statistics.median(_cpu("", rounds, [PLAIN])[PLAIN.name])
    plain = [one - bare for one in spent[PLAIN.name]]
    ratios = {
        variant: [(one - bare) / base for one, base in zip(list_, plain, strict=True)]
        for variant, list_ in spent.items()
    }
    quartiles = statistics.quantiles(ratios[TRACED.name], n=4)
    return Result(
        name=f"{name}, CPU time",
        value=statistics.median(ratios[TRACED.name]),
        unit="ratio",
        target=target,
        beside={variant.name: statistics.median(ratios[variant.name]) for variant in variants[2:]},
        note=f"median of {rounds} rounds, quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}; "
        f"{statistics.median(plain):,.0f} ms without",
    )


def _instructions_over(program: str, name: str) -> Result:
    recorded = _check_recorded(program)
    bare = instructions("")
    plain = instructions(program) - bare
    beside = {}
    for variant in (IMPORTTIME, *_tools()):
        beside[variant.name] = (instructions(_ended(program, variant), variant) - bare) / plain
    traced = instructions(program, TRACED) - bare
    if traced <= plain:
        raise MeasuresNothing("tracing cost no instruction at all: nothing was traced")
    return Result(
        name=f"{name}, instructions",
        value=traced / plain,
        unit="ratio",
        target=1.03,
        beside=beside,
        note=f"{recorded} loads in {plain / 1e6:,.0f} M instructions",
    )


def application(key: str) -> list[Result]:
    """Instructions and CPU time of starting one application."""
    needed, program = APPLICATIONS[key]
    missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
    title = TITLES.get(key, key)
    if missing:
        wanted = [PACKAGES.get(name, name) for name in missing]
        raise Missing(
            f"{title}: needs {' and '.join(wanted)} (pip install {' '.join(wanted)}; also "
            f"{' '.join(TOOLS)}, which are measured beside it where they are installed)"
        )
    return [
        _instructions_over(program, title),
        _cpu_over(program, title, ROUNDS, target=1.05),
    ]


# a generated application -------------------------------------------------------------------

MODULES = 20_000
PER_PACKAGE = 50
GENERATED_ROUNDS = 3


def _write(folder: Path, count: int) -> str:
    """Packages of fifty modules, each of which imports three others; the program that starts it."""
    for number in range(count):
        package, place = divmod(number, PER_PACKAGE)
        if place == 0:
            (folder / f"app_{package}").mkdir()
            (folder / f"app_{package}" / "__init__.py").write_text("")
        wishes = {number // 2, number // 3, max(0, number - 1)} - {number}
        lines = [
            f"from app_{wish // PER_PACKAGE} import m{wish % PER_PACKAGE} as other_{wish}\n"
            for wish in sorted(wishes)
        ]
        lines += [f"\ndef function_{line}():\n    return {line}\n" for line in range(5)]
        (folder / f"app_{package}" / f"m{place}.py").write_text("".join(lines))
    return (
        f"import sys\nsys.path.insert(0, {str(folder)!r})\n"
        f"for number in range({count}):\n"
        f"    __import__(f'app_{{number // {PER_PACKAGE}}}.m{{number % {PER_PACKAGE}}}')\n"
    )


def generated(folder: Path) -> list[Result]:
    """A start of 20,000 modules from files."""
    count = MODULES
    program = _write(folder, count)
    before = Variant("checked", TRACED.prelude.replace("install(", "install(max_records=100000, "))
    counted = output(
        program + "t = importtrace.trace()\nprint(len(t.records), t.header['dropped'])\n", before
    )
    recorded, dropped = map(int, counted.split())
    if recorded < count or dropped:
        raise MeasuresNothing(f"{recorded} records and {dropped} dropped for {count} modules")
    name = f"generated, {count:,} modules"
    return [_cpu_over(program, name, GENERATED_ROUNDS, target=1.05)]


# cost does not grow ------------------------------------------------------------------------

# Modules without files: what is left of an import is mostly importlib's work and ours.
GROWTH = """
import sys
from importlib.machinery import ModuleSpec
class Made:
    code = compile("VALUE = 1", "<made>", "exec")
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.startswith("made") else None
    def create_module(self, spec): return None
    def exec_module(self, module): exec(self.code, vars(module))
class Silent:
    def find_spec(self, name, path=None, target=None): return None
sys.meta_path[:0] = [*(Silent() for _ in range({finders})), Made()]
def work(first, last):
    for number in range(first, last): __import__("made%d" % number)
step = {imports} // {threads}
work(-500, 0)  # what only the first imports cost is in both counts
if {threads} == 1:
    work(0, {imports})
else:
    import threading
    for number in range({threads}):  # one after the other: what is counted is the same each time
        one = threading.Thread(target=work, args=(number * step, (number + 1) * step))
        one.start(); one.join()
"""
GROWTHS = {
    "imports": [{"imports": count} for count in (1_000, 5_000, 20_000)],
    "threads": [{"imports": 4_000, "threads": count} for count in (2, 16, 64)],
    "finders on sys.meta_path": [{"imports": 2_000, "finders": count} for count in (0, 20, 200)],
}


def _each(imports: int, threads: int = 1, finders: int = 0) -> float:
    """Instructions of ours per import, without those of install()."""
    program = GROWTH.format(imports=imports, threads=threads, finders=finders)
    nothing = GROWTH.format(imports=0, threads=threads, finders=finders)
    extra = instructions(program, TRACED) - instructions(program)
    return (extra - (instructions(nothing, TRACED) - instructions(nothing))) / imports


def growth() -> list[Result]:
    """What one more import costs, with many of something over with few of it."""
    results = []
    for what, steps in GROWTHS.items():
        costs = [_each(**step) for step in steps]
        if costs[0] <= 0:
            raise MeasuresNothing("tracing cost no instruction at all: nothing was traced")
        counts = [list(step.values())[-1] for step in steps]
        told = ", ".join(
            f"{count:,}: {cost:,.0f}" for count, cost in zip(counts, costs, strict=True)
        )
        results.append(
            Result(
                name=f"cost of an import, {counts[-1]:,} {what} over {counts[0]:,}",
                value=costs[-1] / costs[0],
                unit="ratio",
                target=1.05,
                note=f"instructions of ours for each, by number of {what}: {told}",
            )
        )
    return results
