"""What a search under conditions has found: cells, and which conditions make the difference. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from importtrace.race.outcome import OK
from importtrace.race.scenario import SetUp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from importtrace.race.findings import Report

STEPS = "importtrace.race.conditions_steps:"


@dataclass(frozen=True, slots=True)
class Condition:
    """`name` as the user said it: "hide=orjson". `workers`: how many processes, and how they are made."""

    name: str
    steps: tuple[SetUp, ...] = ()
    workers: tuple[int, str] | None = None  # (count, "fork" | "spawn" | "preload")
    slow: tuple[float, float] | None = None  # (ms, jitter): each run with a seed of its own

    def set_up(self, seed: int) -> tuple[SetUp, ...]:
        if self.slow is None:
            return self.steps
        return (*self.steps, SetUp(STEPS + "slow_fs", (*self.slow, seed)))


@dataclass(frozen=True, slots=True)
class Failure:
    """`what` was run, and how often it failed so (`times` of `of`; 0 of 0: always).

    `kind`: "order" (in one thread), "threads" (by a schedule), "uncontrolled" or "workers". `entries`: of an
    order. What has entries or a schedule is run in every other cell, too.
    """

    kind: str
    what: str
    outcome: str
    message: str
    cause: dict[str, Any] | None = None
    schedule: str | None = None
    times: int = 0
    of: int = 0
    entries: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal in two cells for the same failure: counts and the way to it may differ."""
        return self.kind, self.outcome, self.message


@dataclass(slots=True)
class Cell:
    conditions: tuple[Condition, ...]
    failures: list[Failure] = field(default_factory=list)
    coverage: str = ""
    cannot: str | None = None  # why the conditions could not be had
    unknown: bool = False  # not all of it was run
    all_of_them: bool = False

    @property
    def name(self) -> str:
        if self.all_of_them:
            return f"all {len(self.conditions)} together"
        return " + ".join(one.name for one in self.conditions) or "as it is"

    @property
    def outcome(self) -> str:
        return self.failures[0].outcome if self.failures else OK


@dataclass(frozen=True, slots=True)
class Difference:
    """A failure, and the cells in which it came. `only_with` are the conditions that all of those share and
    no other cell has all of; `without` the ones of which each makes it go away."""

    failure: Failure
    cells: tuple[str, ...]
    only_with: tuple[str, ...]
    without: tuple[str, ...]
    everywhere: bool = False

    @property
    def text(self) -> str:
        if self.only_with:
            return f"fails only with {' and '.join(self.only_with)}"
        if self.without:
            return f"fails, but not with {' or '.join(self.without)}"
        if self.everywhere:
            return "fails with and without them"
        return f"fails in {', '.join(self.cells)}"


@dataclass(slots=True)
class Matrix:
    target: str
    python: str = ""
    cells: list[Cell] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    seconds: float = 0.0
    seed: int = 0
    interrupted: bool = False
    total: int = 0
    report: Report | None = None  # of the cell without conditions

    @property
    def failed(self) -> bool:
        return any(cell.failures for cell in self.cells)


# what makes the difference ---------------------------------------------------------------------


def differences(cells: Sequence[Cell]) -> list[Difference]:
    """Each failure, and which conditions it comes and goes with. Pure."""
    run = [cell for cell in cells if cell.cannot is None]
    first: dict[tuple[str, str, str], Failure] = {}
    for cell in run:
        for failure in cell.failures:
            first.setdefault(failure.key, failure)
    found = []
    for key, failure in first.items():
        # workers are cells of another kind: what they did not run, they do not lack
        alike = [cell for cell in run if _runs(cell, failure)]
        having = [cell for cell in alike if any(one.key == key for one in cell.failures)]
        lacking = [cell for cell in alike if cell not in having]
        bare = any(not cell.conditions for cell in having)
        only = () if bare or not lacking else _decisive(having, alike)
        without = tuple(
            cell.conditions[0].name for cell in lacking if bare and len(cell.conditions) == 1
        )
        where = tuple(cell.name for cell in having)
        found.append(Difference(failure, where, only, without, bare and not lacking))
    return found


def _runs(cell: Cell, failure: Failure) -> bool:
    of_workers = any(one.workers is not None for one in cell.conditions)
    if failure.kind == "workers":
        return of_workers or not cell.conditions
    return not cell.conditions or any(one.workers is None for one in cell.conditions)


def _decisive(having: list[Cell], run: list[Cell]) -> tuple[str, ...]:
    """The fewest conditions that all of `having` share and that no cell without the failure has all of."""
    common = set.intersection(*({one.name for one in cell.conditions} for cell in having))
    for size in range(1, len(common) + 1):
        for chosen in itertools.combinations(sorted(common), size):
            if all(
                cell in having
                for cell in run
                if set(chosen) <= {one.name for one in cell.conditions}
            ):
                return chosen
    return ()
