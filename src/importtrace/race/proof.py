"""A failure proven: replayed, explained, and confirmed in an interpreter that was not forked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.race.errors import TimeOver
from importtrace.race.outcome import TIMEOUT, Result
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule
from importtrace.race.shrink import alike

if TYPE_CHECKING:
    from collections.abc import Iterable


REPLAYS = 20
_SLOW_REPLAYS = 3  # of a failure that takes its whole time limit


@dataclass(frozen=True, slots=True)
class Proof:
    """`replayed` of `replays` runs of `schedule` failed alike; `confirmed` without a fork (None: not tried).

    `wanted` replays would have been made, had `Runner.until` not come.

    `own`: the deadlock is of CPython's own order of locks, see `steps.by_interpreter`.
    """

    schedule: Schedule
    result: Result
    replayed: int
    replays: int
    confirmed: bool | None
    cause: dict[str, Any] | None
    own: bool = False
    wanted: int = REPLAYS

    @property
    def cut(self) -> bool:
        return self.replays < self.wanted or self.confirmed is None

    @property
    def certain(self) -> bool:
        return self.replayed == self.replays

    @property
    def text(self) -> str:
        return f"{self.replayed}/{self.replays}"


def prove(runner: Runner, scenario: Scenario, found: Result, *, own: bool = False) -> Proof:
    """Explains a failure, replays its schedule on all workers at once, and confirms it without a fork; as
    much of that as there is time for."""
    schedule = found.schedule
    assert schedule is not None
    scenario = scenario.with_(entries=schedule.entries)
    slow = found.outcome == TIMEOUT or found.seconds > 2.0
    count = _SLOW_REPLAYS if slow else REPLAYS
    cause = found.cause
    confirmed = None
    again = tried = 0
    try:
        explained = runner.run(scenario, schedule, explain=True)
        cause = explained.cause if explained.outcome == found.outcome else None
        confirmed = alike(runner.run(scenario, schedule, fork=False), found)
        for _, result in runner.run_many(Job(scenario, schedule) for _ in range(count)):
            tried += 1
            again += alike(result, found)
    except TimeOver:
        pass
    return Proof(schedule, found, again, tried, confirmed, cause, own, count)


def run_schedule(
    text: str,
    *,
    path: Iterable[str] = (),
    python: str | None = None,
    run_limit_s: float = 10.0,
) -> Result:
    """Runs one schedule, as `importtrace reproduce` printed it, in a fresh interpreter; explains a failure.

    What a regression test calls: `assert run_schedule("v1:...").ok`. Once the code is mended its places
    may be gone; the entries then simply run, and `followed` is False. Raises ScheduleError, InputError.
    """
    schedule = Schedule.parse(text)
    scenario = Scenario(
        schedule.entries, path=tuple(path), lines=schedule.lines, run_limit_s=run_limit_s
    )
    with Runner(python, workers=1) as runner:
        return runner.run(scenario, schedule, explain=True)
