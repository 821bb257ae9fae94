"""How much longer importing takes: boto3, 1,000 tiny modules, modules that are already there."""

from __future__ import annotations

import importlib.util
import json
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.processes import IMPORTTIME, PLAIN, TRACED, Variant, instructions, output
from benchmarks.results import MeasuresNothing, Missing, Result

if TYPE_CHECKING:
    from pathlib import Path

TINY = 1_000
ROUNDS = 25
REPEATS = 5_000

COUNT = """
import sys as _sys
_loads = {record.module for record in importtrace.trace().loads}
_new = set(_sys.modules) - _known
print(len(_new & _loads), len(_new))
"""


def _check_recorded(program: str) -> int:
    """That the traced program is traced: all but a few of the modules it loads have a record."""
    before = Variant("checked", TRACED.prelude + "import sys\n_known = set(sys.modules)\n")
    recorded, new = map(int, output(program + COUNT, before).splitlines()[-1].split())
    if recorded < 0.95 * new or not new:
        raise MeasuresNothing(f"of {new} modules loaded only {recorded} were recorded")
    return recorded


def _over(program: str, name: str, target: float | None = None) -> Result:
    """Instructions of ``program`` with install() over without, the bare interpreter taken off.

    install() itself is in the numerator.
    """
    recorded = _check_recorded(program)
    bare = instructions("")
    plain = instructions(program)
    traced = instructions(program, TRACED)
    importtime = instructions(program, IMPORTTIME)
    if traced <= plain:
        raise MeasuresNothing("tracing cost no instruction at all: nothing was traced")
    alone = instructions("", TRACED) - bare
    each = (traced - plain - alone) / recorded
    return Result(
        name=name,
        value=(traced - bare) / (plain - bare),
        unit="ratio",
        target=target,
        beside={IMPORTTIME.name: (importtime - bare) / (plain - bare)},
        note=f"{recorded} loads in {(plain - bare) / 1e6:,.0f} M instructions; "
        f"install() {alone / 1e6:.2f} M, each load {each:,.0f}",
    )


def boto3() -> list[Result]:
    """Instructions of ``import boto3``."""
    if importlib.util.find_spec("boto3") is None:
        raise Missing("import boto3: needs boto3 (pip install boto3)")
    return [_over("import boto3\n", "import boto3, instructions", target=1.03)]


def write_modules(folder: Path, count: int) -> list[str]:
    """``count`` modules of one line each; their names."""
    names = [f"tiny_{number:05}" for number in range(count)]
    for number, name in enumerate(names):
        (folder / f"{name}.py").write_text(f"VALUE = {number}\n")
    return names


def _imports(folder: Path, names: list[str], before: str = "", after: str = "") -> str:
    return (
        f"import sys\nsys.path.insert(0, {str(folder)!r})\n{before}"
        f"for name in {json.dumps(names)}:\n    __import__(name)\n{after}"
    )


def tiny(folder: Path) -> list[Result]:
    """1,000 generated modules: CPU time in interleaved rounds, and instructions."""
    names = write_modules(folder, TINY)
    plain_program = _imports(folder, names)
    _check_recorded(plain_program)
    timed = _imports(
        folder,
        names,
        before="import time\nbegin = time.process_time_ns()\n",
        after="print(time.process_time_ns() - begin)\n",
    )
    variants = [PLAIN, TRACED, IMPORTTIME]
    ratios: dict[str, list[float]] = {TRACED.name: [], IMPORTTIME.name: []}
    plain_ms = []
    for number in range(ROUNDS):
        # the order turns, so that nobody always runs on the warm or the throttled processor
        turned = variants[number % 3 :] + variants[: number % 3]
        spent = {variant.name: int(output(timed, variant)) for variant in turned}
        plain_ms.append(spent[PLAIN.name] / 1e6)
        for name, list_ in ratios.items():
            list_.append(spent[name] / spent[PLAIN.name])
    quartiles = statistics.quantiles(ratios[TRACED.name], n=4)
    results = [
        Result(
            name="1,000 tiny modules, CPU time",
            value=statistics.median(ratios[TRACED.name]),
            unit="ratio",
            target=1.05,
            beside={IMPORTTIME.name: statistics.median(ratios[IMPORTTIME.name])},
            note=f"median of {ROUNDS} rounds, quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}; "
            f"{statistics.median(plain_ms):.0f} ms without",
        )
    ]
    results.append(_over(plain_program, "1,000 tiny modules, instructions"))
    return results


STATEMENTS = {
    "import of a finished module, instructions": (
        "import json; import xml.dom; from json import dumps",
        1.001,
    ),
    "import_module of a finished module, instructions": ("import_module('json')", None),
}
# Keys that collide in a dictionary, or in the interpreter's cache of attribute look-ups, cost up to
# 0.3 % here. A hash seed and a number of classes made first are one throw; the least counts.
THROWS = (0, 5, 23)
THROW = "for _ in range({}):\n    getattr(type('Thrown', (), {{}}), 'name', None)\n"


def _repeats(statement: str, variant: Variant) -> int:
    program = (
        "import json, xml.dom\nfrom importlib import import_module\n"
        f"def repeat(n):\n    for _ in range(n):\n        {statement}\nrepeat({{}})\n"
    )
    counts = []
    for seed, classes in enumerate(THROWS):
        thrown = replace(variant, prelude=THROW.format(classes) + variant.prelude)
        full = instructions(program.format(REPEATS), thrown, seed)
        counts.append(full - instructions(program.format(0), thrown, seed))
    return min(counts)


def finished() -> list[Result]:
    """What is already imported: the repeats alone are counted, their set-up is taken off."""
    results = []
    for name, (statement, target) in STATEMENTS.items():
        plain, traced, importtime = (
            _repeats(statement, variant) for variant in (PLAIN, TRACED, IMPORTTIME)
        )
        if plain < REPEATS * 100:
            raise MeasuresNothing(f"{statement!r} was not repeated")
        results.append(
            Result(
                name=name,
                value=traced / plain,
                unit="ratio",
                target=target,
                beside={IMPORTTIME.name: importtime / plain},
                note=f"{plain / REPEATS:,.0f} instructions without",
            )
        )
    return results
