"""Runs a schedule of a scenario in a fresh process, and says what came of it.

    with Runner(python=sys.executable) as runner:
        result = runner.run(scenario, schedule, explain=True)

A warm interpreter forks a child for each run. It has loaded nothing of the target's and nothing of the
standard library beyond what a bare interpreter has, since that would hide failures; `fork=False` starts a
new interpreter instead. `run_many` runs on all workers at once.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from importtrace.race import beside, hangs
from importtrace.race.errors import InputError, TimeOver
from importtrace.race.outcome import (
    EXIT,
    OK,
    TIMEOUT,
    Result,
    ThreadOutcome,
    without_addresses,
)
from importtrace.race.scenario import Entry, Scenario
from importtrace.race.schedule import Schedule, Switch
from importtrace.race.worker import Ended, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


MOST_MODULES = 20_000


@dataclass(frozen=True, slots=True)
class Job:
    """One run to come. `plan` overrides the schedule: see `_plans.make`. `key` is the caller's own."""

    scenario: Scenario
    schedule: Schedule | None = None
    plan: tuple[Any, ...] | None = None
    explain: bool = False
    steps: bool = False
    key: Any = None
    mark: bool = False


class Runner:
    """Of one interpreter. Not for several threads at once. Close it, or use it in a `with`.

    `until`: a time of `time.monotonic` at which runs end, whatever they are at, by TimeOver; None: none.
    """

    def __init__(self, python: str | None = None, workers: int | None = None) -> None:
        self.python = python or sys.executable
        self._count = workers or max(1, min(4, len(os.sched_getaffinity(0))))
        self._workers: list[Worker] = []
        self._bytecode: tempfile.TemporaryDirectory[str] | None = None
        self.until: float | None = None
        self.runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers.clear()
        if self._bytecode is not None:
            self._bytecode.cleanup()
            self._bytecode = None

    def _new(self, once: bool = False) -> Worker:
        return Worker(self.python, once)

    def _data(self, job: Job) -> dict[str, Any]:
        return job_data(job) | {"bytecode": self._bytecode.name if self._bytecode else ""}

    def _worker(self) -> Worker:
        if not self._workers:
            self._workers.append(self._new())
        return self._workers[0]

    @property
    def version(self) -> str:
        """Of the interpreter, as "3.13.0". Raises InputError where it cannot be used."""
        worker = self._worker()
        worker.start()
        return worker.version

    # runs ----------------------------------------------------------------------------------

    def run(
        self,
        scenario: Scenario,
        schedule: Schedule | None = None,
        *,
        plan: tuple[Any, ...] | None = None,
        explain: bool = False,
        steps: bool = False,
        fork: bool = True,
    ) -> Result:
        """One run. Without a schedule or plan: the entries one after the other.

        `explain` fills in `Result.cause`, `steps` `Result.steps` and `.loaded`.
        """
        job = Job(scenario, schedule, plan, explain, steps)
        worker = self._worker() if fork else self._new(once=True)
        try:
            ended = self._drive(worker, self._data(job))
            if _unsaid(ended):
                # Once more, now writing down at each body where it is.
                again = Job(scenario, schedule, plan, mark=True)
                if not fork:
                    worker = self._new(once=True)
                marked = self._drive(worker, self._data(again))
                if marked.written is None:
                    ended = marked
        finally:
            if not fork:
                worker.close()
        self.runs += 1
        return result(job, ended)

    def run_many(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Result]]:
        """As they end. `jobs` is read as workers become free, so it may depend on what has come; a None
        in it: nothing until the next result.

        Raises TimeOver; the results that have come by then have been given.
        """
        while len(self._workers) < self._count:
            self._workers.append(self._new())
        waiting = iter(jobs)
        at_work: dict[Worker, Job] = {}
        again: deque[Job] = deque()
        done = False
        with selectors.DefaultSelector() as selector:
            try:
                while True:
                    for worker in self._workers:
                        if worker in at_work or (done and not again):
                            continue
                        job = again.popleft() if again else next(waiting, None)
                        if job is None:
                            done = not at_work
                            break
                        worker.submit(self._data(job))
                        selector.register(worker, selectors.EVENT_READ)
                        at_work[worker] = job
                    if not at_work:
                        return
                    left = min(self._left_s(worker) for worker in at_work)
                    ready = {key.fileobj for key, _ in selector.select(left + 0.001)}
                    for worker in list(at_work):
                        ended = worker.poll(worker in ready)
                        if ended is None:
                            continue
                        selector.unregister(worker)
                        job = at_work.pop(worker)
                        if _unsaid(ended) and not job.mark:
                            again.append(
                                Job(job.scenario, job.schedule, job.plan, key=job.key, mark=True)
                            )
                            continue
                        self.runs += 1
                        yield job, result(job, ended)
            finally:
                for worker in at_work:
                    worker.close()  # interrupted, or the caller has seen enough

    def _drive(self, worker: Worker, job: dict[str, Any]) -> Ended:
        worker.submit(job)
        with selectors.DefaultSelector() as selector:
            selector.register(worker, selectors.EVENT_READ)
            try:
                while True:
                    ready = selector.select(self._left_s(worker) + 0.001)
                    ended = worker.poll(bool(ready))
                    if ended is not None:
                        return ended
            except BaseException:
                worker.close()
                raise

    def _left_s(self, worker: Worker) -> float:
        left = worker.left_s()
        if self.until is None:
            return left
        until = self.until - time.monotonic()
        if until <= 0:
            raise TimeOver
        return min(left, until)

    # looking -------------------------------------------------------------------------------

    def modules(self, target: str, scenario: Scenario) -> dict[str, Any]:
        """What `_child._modules` finds; nothing of the target is imported.

        Raises InputError where there is no such module.
        """
        job = self._data(Job(scenario)) | {"task": "list", "target": target, "most": MOST_MODULES}
        ended = self._drive(self._worker(), job)
        found = ended.written
        if found is None or "trouble" in found:
            said = found["trouble"] if found is not None else _death(ended)
            raise InputError(f"cannot look for {target!r}: {said}")
        if found["missing"] is not None:
            at = "" if found["missing"] == target else f": {found['missing']!r} is not there"
            raise InputError(
                f"no module named {target!r} for {self.python!r}{at}; is it spelt right, and "
                "installed there? --path DIR names a folder to look in"
            )
        if not found["compiled"] and self._bytecode is None:
            # Nowhere to write: each run compiles what it imports.
            with contextlib.suppress(OSError):
                self._bytecode = tempfile.TemporaryDirectory(
                    prefix="importtrace-", ignore_cleanup_errors=True
                )
        return found


def job_data(job: Job) -> dict[str, Any]:
    """What the child gets: plain values."""
    scenario, schedule = job.scenario, job.schedule
    plan = job.plan
    if plan is None:
        switches = schedule.switches if schedule is not None else ()
        plan = ("switches", [(s.thread, s.kind, s.module, s.nth, s.to) for s in switches])
    entries = schedule.entries if schedule is not None else scenario.entries
    lines = scenario.lines or (schedule is not None and schedule.lines)
    tops = scenario.watched or Scenario(entries).tops
    return {
        "task": "run",
        "entries": [(entry.module, entry.name) for entry in entries],
        "threads": scenario.threads,
        "further": [[(entry.module, entry.name) for entry in more] for more in scenario.further],
        "path": [os.path.abspath(folder) for folder in scenario.path],
        "set_up": [(step.name, step.arguments) for step in scenario.set_up],
        "lines": list(tops) if lines else [],
        "limit": scenario.run_limit_s,
        "plan": plan,
        "explain": job.explain,
        "steps": job.steps,
        "mark": job.mark,
    }


def _unsaid(ended: Ended) -> bool:
    """It died without a word: exit, crash, or killed at its limit."""
    return ended.written is None and ended.mark is None and not ended.killed


# from what the child wrote to a Result ---------------------------------------------------------


def result(job: Job, ended: Ended) -> Result:
    schedule = job.schedule
    entries = schedule.entries if schedule is not None else job.scenario.entries
    lines = job.scenario.lines or (schedule is not None and schedule.lines)
    written = ended.written
    if written is None:
        return _died(job, ended, entries, lines)
    if "trouble" in written:
        return Result("error", f"before the import: {written['trouble']}", seconds=ended.seconds)
    ends: dict[int, dict[str, Any]] = {}
    for end in written["ends"]:  # of several statements in a thread, the first that failed
        known = ends.get(end["thread"])
        if known is None or known["outcome"] == OK:
            ends[end["thread"]] = end
    failed = list(dict.fromkeys(end["thread"] for end in written["ends"] if end["outcome"] != OK))
    stopped = {entry["thread"]: entry for entry in written.get("stopped", ())}
    threads = []
    for number, entry in enumerate(entries, start=1):
        end = ends.get(number)
        if end is None:
            at = stopped.get(number)
            doing = hangs.doing(at) if at is not None else None
            stack = tuple(tuple(frame) for frame in at["stack"]) if at is not None else ()
            threads.append(ThreadOutcome(number, str(entry), "stopped", frames=stack, doing=doing))
            continue
        threads.append(
            ThreadOutcome(
                number,
                str(entry),
                end["outcome"],
                end.get("type"),
                end.get("message"),
                tuple(end.get("frames", ())),
                failed.index(number) + 1 if number in failed else 0,
            )
        )
    done = Schedule(entries, tuple(Switch(*switch) for switch in written["switches"]), lines)
    outcome, message, cause = OK, None, None
    if written["verdict"] is not None:
        stuck = list(stopped.values()) + hangs.forked(ended.crash)
        outcome = hangs.verdict(written["verdict"], stuck)
        message = hangs.message(outcome, stuck)
        cause = hangs.cause(outcome, stuck)
        if outcome == TIMEOUT and written["slow"]:
            message = f"slower than --run-limit {job.scenario.run_limit_s:g}, but it was getting on"
    elif failed:
        first = ends[failed[0]]
        outcome = first["outcome"]
        message = _one_line(first)
        cause = beside.told(first.get("cause"), first.get("others", []))
    return Result(
        outcome,
        message,
        tuple(threads),
        done,
        written["diverged"] is None,
        written["diverged"],
        cause,
        tuple(written["steps"]),
        tuple(written["loaded"]),
        ended.seconds,
        written["python"],
        tuple(written["files"].items()),
        tuple(
            (end["thread"], end["statement"], end["outcome"], end.get("type"), end.get("message"))
            for end in written["ends"]
        ),
        written["verdict"] is not None and outcome == TIMEOUT and written["slow"],
    )


def _one_line(end: dict[str, Any]) -> str:
    text = " ".join((without_addresses(end.get("message")) or "").split())
    return f"{end['type']}: {text}" if text else str(end["type"])


def _died(job: Job, ended: Ended, entries: tuple[Entry, ...], lines: bool) -> Result:
    stack = hangs.crash_frames(ended.crash)
    if ended.killed:
        outcome = TIMEOUT
        limit_s = job.scenario.run_limit_s
        message = f"had not ended after {limit_s:g} s"
        if ended.slow:
            message = f"slower than --run-limit {limit_s:g}, but it was getting on"
    else:
        outcome = EXIT
        message = _death(ended)
    if ended.mark:
        message += f", in the body of {ended.mark}"
    elif stack:
        file, line, _ = stack[-1]
        message += f", at {file}, line {line}"
    threads = tuple(
        ThreadOutcome(number, str(entry), "stopped") for number, entry in enumerate(entries, 1)
    )
    schedule = job.schedule or Schedule(entries, (), lines)
    return Result(
        outcome, message, threads, schedule, seconds=ended.seconds, slow=ended.killed and ended.slow
    )


def _death(ended: Ended) -> str:
    status = ended.status
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"the process was killed by {name}"
    return f"the process exited with code {os.WEXITSTATUS(status)}"
