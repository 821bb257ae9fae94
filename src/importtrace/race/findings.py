"""What a search is asked for, and what it found and covered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importtrace.race.orders import Order
    from importtrace.race.proof import Proof
    from importtrace.race.scenario import Entry, SetUp


BOUND = 2
MOST_NOTES = 20


@dataclass(frozen=True, slots=True)
class Options:
    entries: tuple[Entry, ...] = ()
    threads: int = 2
    path: tuple[str, ...] = ()
    python: str | None = None
    time_limit_s: float | None = None
    run_limit_s: float = 10.0
    seed: int | None = None
    lines: bool = False
    bound: int = BOUND
    strategy: str = "auto"  # auto | orders | directed | exhaustive | random
    keep_going: bool = False
    set_up: tuple[SetUp, ...] = ()
    exact_limit: bool = False
    entries_only: bool = False  # orders: those of the entries, not of each module of the target


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What became of one proven failure on another interpreter.

    outcome    of the same schedule there
    diverged   where it could not be followed; None: it was
    also       None, or what the entries do there in another way: (schedule, outcome) of a failure found
    runs       schedules of these entries that were run there, to find that
    """

    python: str
    outcome: str
    diverged: str | None
    also: tuple[str, str] | None
    runs: int


@dataclass(slots=True)
class Report:
    """What was found and what was covered. `failed` decides the exit code.

    `executable`: the interpreter that was asked for; None: the one that runs this.
    """

    target: str
    python: str = ""
    origin: str | None = None
    modules: int = 0
    orders: list[Order] = field(default_factory=list)
    orders_total: int = 0
    proofs: list[Proof] = field(default_factory=list)
    schedules_run: int = 0
    groups: int = 0  # of entries that were run at once, in all schedules
    covered: list[tuple[int, int]] = field(default_factory=list)  # (switches, groups complete)
    pruned: int = 0
    random_runs: int = 0
    rings: int = 0
    seconds: float = 0.0
    seed: int = 0
    bound: int = BOUND
    threads: int = 2
    interrupted: bool = False
    out_of_time: bool = False
    notes: list[str] = field(default_factory=list)
    strict: bool = False
    path: tuple[str, ...] = ()
    executable: str | None = None
    elsewhere: dict[int, list[Elsewhere]] = field(default_factory=dict)  # by the proof's number

    def note(self, text: str) -> None:
        """Once, and not without end."""
        if text not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(text)

    @property
    def complete(self) -> bool:
        """All schedules of all groups, up to the bound."""
        return bool(self.covered) and self.covered[-1] == (self.bound, self.groups)

    @property
    def failed(self) -> bool:
        if any(row.failed for row in self.orders):
            return True
        return any(self.strict or not proof.own for proof in self.proofs)
