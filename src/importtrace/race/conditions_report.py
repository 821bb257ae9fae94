"""A `Matrix` as text for a tired person, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.race.report import _SAID, _cause, wrapped
from importtrace.reports.terminal import BOLD, RED, WIDTH, YELLOW, Paint, fit, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.race.conditions_matrix import Cell, Difference, Failure, Matrix


def verdict(found: Matrix) -> str:
    count = len(found.cells)
    bad = sum(bool(cell.failures) for cell in found.cells)
    if found.interrupted:
        return f"interrupted, {bad} of {count} cells fail, {found.total} were to be run"
    if not bad:
        return f"no failure in {count} environments"
    return f"fails in {bad} of {count} environments"


def text(found: Matrix, *, colour: bool = False) -> str:
    return "\n".join(_lines(found, Paint(colour))) + "\n"


def _lines(found: Matrix, paint: Paint) -> Iterator[str]:
    head = f"{plain(found.target)} on Python {found.python}: {verdict(found)}"
    yield from (paint(line, BOLD) for line in wrapped(head, "", lines=3))
    yield ""
    width = min(44, max((len(plain(cell.name)) for cell in found.cells), default=10))
    for cell in found.cells:
        yield from _cell(cell, width, paint)
    for number, difference in enumerate(found.differences, start=1):
        yield ""
        yield from _difference(number, difference, paint)
    yield ""
    cells = f"{len(found.cells)} environment" + ("" if len(found.cells) == 1 else "s")
    yield from wrapped(
        f"{cells} in {found.seconds:.1f} s, --seed {found.seed}. "
        "What a search in each of them covered is in --json; no failure in a part is no proof.",
        "",
        lines=4,
    )


def _cell(cell: Cell, width: int, paint: Paint) -> Iterator[str]:
    name = fit(plain(cell.name), width).ljust(width)
    if cell.cannot is not None:
        yield paint(f"  {name}  could not be run", YELLOW)
        yield from wrapped(plain(cell.cannot), "    ", lines=4)
    elif not cell.failures:
        said = "works, in what the time allowed" if cell.unknown else "works"
        yield f"  {name}  {said}"
    else:
        kinds = ", ".join(dict.fromkeys(_SAID[one.outcome] for one in cell.failures))
        yield paint(fit(f"  {name}  {kinds}", WIDTH), RED)


def _difference(number: int, difference: Difference, paint: Paint) -> Iterator[str]:
    failure = difference.failure
    head = f"{number}. {plain(difference.text)}"
    yield from (paint(line, BOLD) for line in wrapped(head, "", lines=3))
    yield from wrapped(plain(failure.what) + _counted(failure), "   ", lines=3)
    yield from wrapped(plain(failure.message or failure.outcome), "   ", lines=4)
    if failure.cause is not None:
        yield from _cause(failure.cause, "   ")
    if failure.schedule is not None:
        yield f"   schedule: {failure.schedule}"


def _counted(failure: Failure) -> str:
    return f" ({failure.times} of {failure.of})" if failure.of > 1 else ""


def data(found: Matrix) -> dict[str, Any]:
    return {
        "target": found.target,
        "python": found.python,
        "seconds": round(found.seconds, 3),
        "seed": found.seed,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "cells": [
            {
                "conditions": [one.name for one in cell.conditions],
                "outcome": cell.outcome if cell.cannot is None else None,
                "failures": [_failure(one) for one in cell.failures],
                "coverage": cell.coverage,
                "could_not": cell.cannot,
            }
            for cell in found.cells
        ],
        "differences": [
            {
                "text": one.text,
                "only_with": list(one.only_with),
                "without": list(one.without),
                "cells": list(one.cells),
                "failure": _failure(one.failure),
            }
            for one in found.differences
        ],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "what": failure.what,
        "outcome": failure.outcome,
        "message": failure.message,
        "cause": failure.cause,
        "schedule": failure.schedule,
        "times": f"{failure.times}/{failure.of}" if failure.of else None,
    }
