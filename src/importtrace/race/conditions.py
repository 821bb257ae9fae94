"""The environment as a suspect: the same imports under each condition alone, then under all of them.

    found = explore_conditions("shop", [hidden("orjson"), Condition("cold", (SetUp(COLD),))], path=["src"])
    found.differences      # "fails only with hide=orjson"

A cell of the matrix is a set of conditions. In each, the search of `explore` is run, and the entries are
imported on threads that nobody controls, so that conditions that only change times can show; with workers,
in several processes at once.
"""

from __future__ import annotations

import random
import re
import selectors
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from importtrace.race.conditions_matrix import (
    STEPS,
    Cell,
    Condition,
    Failure,
    Matrix,
    differences,
)
from importtrace.race.coverage import coverage
from importtrace.race.errors import InputError
from importtrace.race.outcome import IMPORT_ERROR, Result, without_addresses
from importtrace.race.runner import Job, Runner, job_data
from importtrace.race.runner import result as result_of
from importtrace.race.scenario import Entry, Scenario, SetUp
from importtrace.race.schedule import Schedule
from importtrace.race.search import explore
from importtrace.race.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from importtrace.race.findings import Report

CELL_S = 5.0  # of search in each cell, where no limit was given
FREE_RUNS = 10
RUN_LIMIT_S = 10.0
MOST_CONDITIONS = 12
_BEFORE = re.compile(r"^before the import: (?:importtrace\.\S+\.)?([\w.]+): ")
_WORKERS = re.compile(r"(\d+) of (\d+) workers: ")
_IMPORT_ERRORS = ("ImportError: ", "ModuleNotFoundError: ")


def explore_conditions(
    target: str,
    conditions: Sequence[Condition],
    *,
    entries: Iterable[str] = (),
    path: Iterable[str] = (),
    python: str | None = None,
    threads: int = 2,
    time_limit_s: float | None = None,
    run_limit_s: float | None = None,
    seed: int | None = None,
    free_runs: int = FREE_RUNS,
    options: dict[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Matrix:
    """`options` go to `explore`. Raises InputError as that does. Ctrl-C ends it with what was found."""
    if len(conditions) > MOST_CONDITIONS:
        raise InputError(
            f"{len(conditions)} conditions are too many at once; at most {MOST_CONDITIONS}"
        )
    seed = random.SystemRandom().randrange(1, 1 << 31) if seed is None else seed
    search = _Search(
        target,
        tuple(Entry.parse(text) for text in entries),
        tuple(path),
        python,
        threads,
        run_limit_s,
        seed,
        free_runs,
        dict(options or {}),
    )
    begin = time.monotonic()
    wanted = _cells(conditions)
    found = Matrix(target, seed=seed, total=len(wanted))
    limit = CELL_S if time_limit_s is None else max(1.0, time_limit_s / len(wanted))
    try:
        for number, cell in enumerate(wanted, start=1):
            if progress is not None:
                progress("conditions", number - 1, len(wanted))
            try:
                report = search.fill(cell, limit)
            except InputError as error:
                if not cell.conditions:
                    raise
                report, cell.cannot = None, _without_slug(error)
            found.cells.append(cell)
            if report is not None:
                found.python = report.python
                found.report = found.report or report
                if report.interrupted:
                    found.interrupted = True
                    break
        else:
            search.narrow(found, limit)
            search.cross(found.cells)
    except KeyboardInterrupt:
        found.interrupted = True
    found.differences = differences(found.cells)
    found.seconds = time.monotonic() - begin
    return found


def _cells(conditions: Sequence[Condition]) -> list[Cell]:
    """None, each alone, all of them."""
    cells = [Cell(()), *(Cell((one,)) for one in conditions)]
    if len(conditions) > 1 and any(one.workers is None for one in conditions):
        cells.append(Cell(tuple(conditions), all_of_them=len(conditions) > 2))
    return cells


class _Search:
    def __init__(
        self,
        target: str,
        entries: tuple[Entry, ...],
        path: tuple[str, ...],
        python: str | None,
        threads: int,
        run_limit_s: float | None,
        seed: int,
        free_runs: int,
        options: dict[str, Any],
    ) -> None:
        self._target = target
        self._entries = entries
        self._path = path
        self._python = python
        self._threads = threads
        self._run_limit_s = run_limit_s
        self._seed = seed
        self._free_runs = free_runs
        self._options = options
        named = entries or (Entry.parse(target),)
        self._named = named if len(named) > 1 or threads < 2 else named * threads

    def fill(self, cell: Cell, limit_s: float) -> Report | None:
        """Runs what belongs to the cell; the report of its search, where there was one."""
        workers = [one for one in cell.conditions if one.workers is not None]
        others = tuple(one for one in cell.conditions if one.workers is None)
        report = None
        if others or not cell.conditions:
            report = self._searched(cell, others, limit_s)
            if cell.cannot is None and not report.interrupted:
                self._freely(cell, others)
        for one in workers:
            if cell.cannot is None:
                self._in_workers(cell, others, one)
        return report

    def narrow(self, found: Matrix, limit_s: float) -> None:
        """What came only under all conditions: which of them does it need?"""
        if len(found.cells) < 4:
            return
        everything = found.cells[-1]
        known = {failure.key for cell in found.cells[:-1] for failure in cell.failures}
        new = [failure.key for failure in everything.failures if failure.key not in known]
        if not new:
            return
        wanted, kept = new[0], everything.conditions
        for condition in everything.conditions:
            fewer = tuple(one for one in kept if one is not condition)
            if len(fewer) < 2:
                break
            cell = Cell(fewer)
            try:
                self.fill(cell, limit_s)
            except InputError as error:
                cell.cannot = _without_slug(error)
            found.cells.append(cell)
            if wanted in {failure.key for failure in cell.failures}:
                kept = fewer

    def cross(self, cells: list[Cell]) -> None:
        """What failed in one cell, run exactly so in the others: a search there may have missed it."""
        for source in cells:
            for failure in list(source.failures):
                if not failure.entries and failure.schedule is None:
                    continue
                for cell in cells:
                    others = tuple(one for one in cell.conditions if one.workers is None)
                    known = {one.key for one in cell.failures}
                    if cell.cannot is not None or failure.key in known:
                        continue
                    if cell.conditions and not others:
                        continue  # workers only: their imports are run in another way
                    result = self._again(failure, others)
                    if (failure.outcome, failure.message) == (result.outcome, _message(result)):
                        cell.failures.append(replace(failure, times=0, of=0))

    def _again(self, failure: Failure, conditions: tuple[Condition, ...]) -> Result:
        with Runner(self._python, workers=1) as runner:
            if failure.schedule is None:
                entries = tuple(Entry.parse(text) for text in failure.entries)
                return runner.run(self._scenario(conditions, threads=False).with_(entries=entries))
            schedule = Schedule.parse(failure.schedule)
            return runner.run(self._scenario(conditions).with_(entries=schedule.entries), schedule)

    # one cell ------------------------------------------------------------------------------

    def _set_up(self, conditions: tuple[Condition, ...], run: int = 0) -> tuple[SetUp, ...]:
        return tuple(step for one in conditions for step in one.set_up(self._seed + run))

    def _scenario(self, conditions: tuple[Condition, ...], run: int = 0, **more: Any) -> Scenario:
        more.setdefault("set_up", self._set_up(conditions, run))
        return Scenario(
            self._named, path=self._path, run_limit_s=self._run_limit_s or RUN_LIMIT_S, **more
        )

    def _searched(self, cell: Cell, conditions: tuple[Condition, ...], limit_s: float) -> Report:
        report = explore(
            self._target,
            entries=[str(entry) for entry in self._entries],
            threads=self._threads,
            path=self._path,
            python=self._python,
            time_limit_s=limit_s,
            run_limit_s=self._run_limit_s,
            seed=self._seed,
            set_up=self._set_up(conditions),
            **self._options,
        )
        cell.coverage = coverage(report)
        cell.unknown = report.out_of_time or report.interrupted
        for row in report.orders:
            if row.failed:
                self._add(cell, Failure(
                    "order", "import " + ", then ".join(row.entries), row.outcome, row.message or "",
                    row.cause, entries=row.entries,
                ))  # fmt: skip
        for proof in report.proofs:
            if report.strict or not proof.own:
                what = " | ".join(entry.statement for entry in proof.schedule.entries)
                self._add(cell, Failure(
                    "threads", what, proof.result.outcome, proof.result.message or "", proof.cause,
                    str(proof.schedule), proof.replayed, proof.replays,
                ))  # fmt: skip
        return report

    def _freely(self, cell: Cell, conditions: tuple[Condition, ...]) -> None:
        """On threads that nobody holds, a few times: what fails only by its timing shows here, if rarely."""
        if len(self._named) < 2 or not self._free_runs:
            return
        plan = ("call", STEPS + "Free", ())
        jobs = (Job(self._scenario(conditions, run), plan=plan) for run in range(self._free_runs))
        seen: dict[tuple[Any, ...], list[Result]] = {}
        with Runner(self._python, workers=1) as runner:  # one run must not be another's condition
            for _, result in runner.run_many(jobs):
                if not result.ok:
                    seen.setdefault((result.outcome, _message(result)), []).append(result)
        what = " | ".join(entry.statement for entry in self._named) + ", uncontrolled"
        plain = {(one.outcome, one.message) for one in cell.failures if one.kind == "order"}
        for (outcome, message), results in seen.items():
            if (outcome, message) in plain:
                continue  # needs no threads
            self._add(cell, Failure(
                "uncontrolled", what, outcome, message, results[0].cause, None, len(results),
                self._free_runs,
            ))  # fmt: skip

    def _in_workers(
        self, cell: Cell, conditions: tuple[Condition, ...], condition: Condition
    ) -> None:
        assert condition.workers is not None
        count, how = condition.workers
        named = tuple(dict.fromkeys(self._named))
        if how == "spawn":
            scenario = self._scenario(conditions, threads=False).with_(entries=named)
            results = _at_once(self._python, scenario, count)
        else:
            entries = [(entry.module, entry.name) for entry in named]
            step = SetUp(STEPS + "workers", (count, how == "preload", entries))
            scenario = self._scenario(
                conditions, threads=False, set_up=(*self._set_up(conditions), step)
            ).with_(entries=named)
            with Runner(self._python, workers=1) as runner:
                runner.modules(named[0].module.partition(".")[0], Scenario(named, path=self._path))
                results = [runner.run(scenario)]
        bad = [result for result in results if not result.ok]
        if bad:
            what = f"{count} workers by {how}" if how != "preload" else f"{count} preloaded workers"
            self._add(cell, Failure(
                "workers", what, bad[0].outcome, _message(bad[0]), bad[0].cause, None, len(bad),
                len(results),
            ))  # fmt: skip

    def _add(self, cell: Cell, failure: Failure) -> None:
        found = _BEFORE.match(failure.message)
        if found is not None:
            kind, message = found[1], failure.message[found.end() :]
            if kind == "CannotApply":
                cell.cannot = message
                cell.failures.clear()
            failure = _of_worker(failure, kind, message)
        known = {(one.key, one.what) for one in cell.failures}
        if cell.cannot is None and (failure.key, failure.what) not in known:
            cell.failures.append(failure)


def _of_worker(failure: Failure, kind: str, message: str) -> Failure:
    """What a process said that forked the workers, or that imported before it forked them."""
    told = _WORKERS.match(message) if kind == "WorkersFailed" else None
    times, of = (int(told[1]), int(told[2])) if told is not None else (1, 1)
    text = message[told.end() :] if told is not None else f"{kind}: {message}"
    outcome = IMPORT_ERROR if text.startswith(_IMPORT_ERRORS) else failure.outcome
    return replace(failure, outcome=outcome, message=text, times=times, of=of)


def _without_slug(error: InputError) -> str:
    text = str(error).removesuffix(f" [{error.slug}]")
    return re.sub(r"^cannot look for .*CannotApply: ", "", text)


def _message(result: Result) -> str:
    return without_addresses(result.message) or result.outcome


def _at_once(python: str | None, scenario: Scenario, count: int) -> list[Result]:
    """New interpreters, all started before the first of them imports."""
    job = Job(scenario)
    workers = [Worker(python or sys.executable, once=True) for _ in range(count)]
    results = []
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.submit(job_data(job) | {"bytecode": ""})
        with selectors.DefaultSelector() as selector:
            waiting = set(workers)
            for worker in workers:
                selector.register(worker, selectors.EVENT_READ)
            while waiting:
                left = min(worker.left_s() for worker in waiting)
                ready = {key.fileobj for key, _ in selector.select(left + 0.001)}
                for worker in list(waiting):
                    ended = worker.poll(worker in ready)
                    if ended is not None:
                        waiting.remove(worker)
                        selector.unregister(worker)
                        results.append(result_of(job, ended))
    finally:
        for worker in workers:
            worker.close()
    return results
