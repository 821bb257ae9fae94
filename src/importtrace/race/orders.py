"""What needs no threads: each module as the first import of a fresh interpreter, each order of the entries."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from importtrace.race.errors import TimeOver
from importtrace.race.outcome import DEADLOCK, ERROR, IMPORT_ERROR, OK, TIMEOUT, Result
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Entry, Scenario
from importtrace.race.steps import wants
from importtrace.race.strategies.directed import Wants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


# Entries of which every order is run; of more, those that put each one first and last.
MOST_PERMUTED = 5
MOST_EXPLAINED = 200
LOOK_S = 2.0  # for a second look at what hung, with its threads under control
MOST_LOOKED_AT = 20
_NO_MODULE = re.compile(r"No module named '([^']+)'")

# How a row is judged.
FINE = "fine"
ORDER = "order"  # fails here, works in another order
ALWAYS = "always"  # fails in every order, of itself
MISSING = "missing"  # something that is not installed; in every order
CYCLE = "cycle"  # fails in every order, of a circular import
HANG = "hang"  # its threads wait for each other for ever
SLOW = "slow"  # took longer than a run may, but was getting on
UNTRIED = "untried"  # fails here; there was no time for other orders


@dataclass(frozen=True, slots=True)
class Order:
    """One order, run in one thread. `works_after`: what was imported first where it did work."""

    entries: tuple[str, ...]
    outcome: str
    message: str | None
    judged: str = FINE
    cause: dict[str, Any] | None = None
    place: tuple[str, int] | None = None
    works_after: tuple[str, ...] = ()
    missing: str | None = None
    named: bool = False  # by the user: its failure is never somebody else's matter
    confirmed: bool | None = None  # not forked, it failed, too; None: not tried
    signature: tuple[Any, ...] = ()
    stack: tuple[tuple[str, int, str], ...] = ()  # of a hang: how it came to where it is blocked

    @property
    def failed(self) -> bool:
        """Something to mend: what an order decides, a cycle, or what the user has named."""
        if self.judged == MISSING:
            return self.named
        return self.judged in (ORDER, CYCLE, HANG) or (
            self.judged in (ALWAYS, UNTRIED) and self.named
        )


class Orders:
    """Runs them, and keeps what the runs have shown. `rows` may be looked at between any two steps."""

    def __init__(self, runner: Runner, scenario: Scenario, tops: Sequence[str]) -> None:
        self._runner = runner
        self._scenario = scenario.with_(threads=False)
        self._tops = tuple(tops)
        self.rows: list[Order] = []
        self.wants = Wants()
        self.fine: dict[str, float] = {}  # module -> seconds its import took
        # of all modules that were loaded, but for the standard library
        self.files: dict[str, str] = {}
        self._loaded_by: dict[str, str] = {}
        self._jobs: list[tuple[Entry, ...]] = []
        self._named: set[str] = set()
        self._first = 0
        self.total = 0
        self.done = 0

    def plan(self, modules: Sequence[str], entries: Sequence[Entry], named: Iterable[str]) -> None:
        """What is to be run: what the user named first."""
        self._named = set(named)
        todo = list(permuted(entries)) if len(entries) > 1 else []
        todo += [(entry,) for entry in entries]
        self._first = len(dict.fromkeys(todo))
        todo += [(Entry(module),) for module in modules]
        self._jobs = list(dict.fromkeys(todo))
        self.total = len(self._jobs)

    def run_named(self, tick: Callable[[], bool]) -> None:
        """The orders of the entries. `tick` is called after each run; True ends it."""
        self._run(self._jobs[: self._first], tick)

    def run(self, tick: Callable[[], bool]) -> None:
        """The rest, and what there is to say of all."""
        self._run(self._jobs[self.done :], tick)
        self._judge(tick)

    def _run(self, orders: Sequence[tuple[Entry, ...]], tick: Callable[[], bool]) -> None:
        jobs = (Job(self._scenario.with_(entries=order), steps=True, key=order) for order in orders)
        for job, result in self._runner.run_many(jobs):
            self.done += 1
            self._seen(job.key, result)
            if tick():
                raise TimeOver

    def _seen(self, order: tuple[Entry, ...], result: Result) -> None:
        texts = tuple(str(entry) for entry in order)
        missing = _missing(result, self._tops)
        for module in result.loaded:
            if module.partition(".")[0] in self._tops:
                self._loaded_by.setdefault(module, texts[0])
        self.files.update(result.files)
        if len(order) == 1:
            if missing is None:
                self.wants.add(order[0], wants(result.steps, self._tops))
            if result.ok:
                self.fine[texts[0]] = result.seconds
        first = result.first
        place = None
        if first is not None and first.frames:
            shown = [frame for frame in first.frames if not frame[0].startswith("<")]
            if shown:
                place = shown[-1][0], shown[-1][1]
        judged = MISSING if missing else SLOW if result.slow else UNTRIED
        self.rows.append(
            Order(
                texts,
                result.outcome,
                result.message,
                FINE if result.ok else judged,
                cause=result.cause,
                place=place,
                missing=missing,
                named=len(texts) > 1 or texts[0] in self._named,
                signature=result.signature,
            )
        )

    def _judge(self, tick: Callable[[], bool]) -> None:
        bad = [number for number, row in enumerate(self.rows) if row.judged in (UNTRIED, MISSING)]
        if not bad:
            return
        causes = self._explain(bad, tick)
        looks = 0
        for number in bad:
            row = self.rows[number]
            if tick():
                raise TimeOver
            if row.outcome == TIMEOUT and len(row.entries) == 1 and looks < MOST_LOOKED_AT:
                looks += 1
                self.rows[number] = self._look_at(row)
                continue
            cause = causes.get(number) or row.cause
            row = replace(row, cause=cause, judged=ALWAYS)
            if row.missing is not None:
                row = replace(row, judged=MISSING)
            elif row.outcome in (IMPORT_ERROR, ERROR):
                witness = self._witness(row)
                if witness:
                    row = replace(row, judged=ORDER, works_after=witness)
                elif cause is not None and cause.get("kind") == "circular":
                    row = replace(row, judged=CYCLE)
            self.rows[number] = row
        for number in bad:
            if self.rows[number].failed:
                self.rows[number] = self._confirm(self.rows[number])
                if tick():
                    raise TimeOver

    def _confirm(self, row: Order) -> Order:
        """Once more, without a fork: that the warm parent has no part in it."""
        entries = tuple(map(Entry.parse, row.entries))
        if row.judged == HANG:
            result = self._runner.run(self._alone(row), fork=False)
            return replace(row, confirmed=result.outcome == DEADLOCK)
        result = self._runner.run(self._scenario.with_(entries=entries), fork=False)
        return replace(row, confirmed=result.signature == row.signature)

    def _explain(self, bad: list[int], tick: Callable[[], bool]) -> dict[int, dict[str, Any]]:
        jobs = (
            Job(
                self._scenario.with_(entries=tuple(map(Entry.parse, self.rows[number].entries))),
                explain=True,
                key=number,
            )
            for number in bad[:MOST_EXPLAINED]
            if self.rows[number].outcome in (IMPORT_ERROR, ERROR)
        )
        found = {}
        for job, result in self._runner.run_many(jobs):
            if result.cause is not None and result.signature == self.rows[job.key].signature:
                found[job.key] = result.cause
            if tick():
                raise TimeOver
        return found

    def _look_at(self, row: Order) -> Order:
        """A deadlock, or only long? In a thread of its own the scheduler sees who waits for whom."""
        result = self._runner.run(self._alone(row))
        if result.outcome != DEADLOCK:
            return replace(row, judged=ALWAYS)
        return replace(
            row,
            outcome=DEADLOCK,
            message=result.message,
            cause=result.cause,
            judged=HANG,
            stack=result.threads[0].frames,
        )

    def _alone(self, row: Order) -> Scenario:
        limit = min(LOOK_S, self._scenario.run_limit_s)
        entries = (Entry.parse(row.entries[0]),)
        return self._scenario.with_(entries=entries, threads=True, run_limit_s=limit)

    def _witness(self, row: Order) -> tuple[str, ...]:
        """What to import first for this order to work; empty: nothing that was tried."""
        if len(row.entries) > 1:
            same = set(row.entries)
            for other in self.rows:
                if (
                    other.outcome == OK
                    and set(other.entries) == same
                    and other.entries != row.entries
                ):
                    return other.entries[:1]
            return ()
        module = row.entries[0].partition(":")[0]
        first = self._loaded_by.get(module)
        if first is not None and first != module:
            return (first,)
        # Nobody else loads it. After everything that can be imported?
        others = [name for name in self.fine if name != module][:50]
        if not others:
            return ()
        order = tuple(Entry.parse(name) for name in (*others, row.entries[0]))
        result = self._runner.run(self._scenario.with_(entries=order))
        return tuple(others) if result.ok else ()


def permuted(entries: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    if len(entries) <= MOST_PERMUTED:
        return list(itertools.permutations(entries))
    turned = [tuple(entries[n:]) + tuple(entries[:n]) for n in range(len(entries))]
    return turned + [order[::-1] for order in turned]


def _missing(result: Result, tops: Sequence[str]) -> str | None:
    """The module that is not installed, if that is what it fails of: not one of the target's own."""
    first = result.first
    if first is None or first.type != "ModuleNotFoundError":
        return None
    found = _NO_MODULE.search(first.message or "")
    if found is None or found[1].partition(".")[0] in tops:
        return None
    return found[1]


def walk(rows: Iterable[Order]) -> Iterator[Order]:
    """The failures, those to mend first."""
    bad = [row for row in rows if row.outcome != OK]
    return iter(sorted(bad, key=lambda row: (not row.failed, row.judged, row.entries)))
