"""A failure proven: replayed, explained, and confirmed in an interpreter that was not forked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.race.errors import TimeOver
from importtrace.race.outcome import DEADLOCK, TIMEOUT, Result
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule, Switch
from importtrace.race.shrink import alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


REPLAYS = 20
_HANG_REPLAYS = 3  # of a failure that takes its whole time limit each time


@dataclass(frozen=True, slots=True)
class Proof:
    """`replayed` of `replays` runs of `schedule` failed alike; `confirmed` without a fork (None: not tried).

    `wanted` replays would have been made, had `Runner.until` not come.

    `own`: the deadlock is of CPython's own order of locks, see `steps.by_interpreter`.
    `other`: the same ring of locks, where another thread comes last and gets the error; None: not shown.
    `interrupted`: by Ctrl-C, before all that was wanted had been run.
    """

    schedule: Schedule
    result: Result
    replayed: int
    replays: int
    confirmed: bool | None
    cause: dict[str, Any] | None
    own: bool = False
    wanted: int = REPLAYS
    other: Proof | None = None
    interrupted: bool = False

    @property
    def cut(self) -> bool:
        return self.replays < self.wanted or self.confirmed is None

    @property
    def certain(self) -> bool:
        return self.replayed == self.replays

    @property
    def text(self) -> str:
        return f"{self.replayed}/{self.replays}"


def unproven(found: Result, *, own: bool = False, interrupted: bool = False) -> Proof:
    """Of a failure that was seen, and nothing more."""
    assert found.schedule is not None
    return Proof(found.schedule, found, 0, 0, None, found.cause, own, interrupted=interrupted)


def prove(
    runner: Runner,
    scenario: Scenario,
    found: Result,
    *,
    own: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Explains a failure, replays its schedule on all workers at once, and confirms it without a fork; as
    much of that as there is time for, and until Ctrl-C (`Proof.interrupted`)."""
    schedule = found.schedule
    assert schedule is not None
    scenario = scenario.with_(entries=schedule.entries)
    count = _HANG_REPLAYS if found.outcome == TIMEOUT else REPLAYS
    cause = found.cause
    confirmed = None
    again = tried = 0
    interrupted = False
    try:
        explained = runner.run(scenario, schedule, explain=True)
        cause = explained.cause if explained.outcome == found.outcome else None
        confirmed = alike(runner.run(scenario, schedule, fork=False), found)
        for _, result in runner.run_many(Job(scenario, schedule) for _ in range(count)):
            tried += 1
            again += alike(result, found)
            if progress is not None:
                progress(tried, count)
    except TimeOver:
        pass
    except KeyboardInterrupt:
        interrupted = True
    return Proof(
        schedule, found, again, tried, confirmed, cause, own, count, interrupted=interrupted
    )


def other_ways(found: Result) -> list[Schedule]:
    """Of a `_DeadlockError` between two threads, schedules in which the other one may come to ask last, and so
    gets the error, or a half-built module in place of one; none where the steps do not show it.

    Either the refused thread was stopped where it was about to ask, and need not be; or the one that waits
    in `found` is stopped where it is about to, until the refused one waits for it.
    """
    schedule, first = found.schedule, found.first
    if schedule is None or first is None or found.outcome != DEADLOCK:
        return []
    steps = found.steps
    refused = next(
        (at for at, step in enumerate(steps) if step[:2] == (first.thread, "refused")), None
    )
    if refused is None:
        return []
    asked = (first.thread, "acquire", steps[refused][2])
    kept = tuple(one for one in schedule.switches if (one.thread, one.kind, one.module) != asked)
    ways = [kept] if kept != schedule.switches else []
    for number, kind, module, *_ in reversed(steps[:refused]):
        if kind == "wait" and number != first.thread:
            place = (number, "acquire", module)
            nth = sum(step[:3] == place for step in steps[:refused])
            ways.append((*schedule.switches, Switch(*place, nth, first.thread)))
            break
    return [Schedule(schedule.entries, switches, schedule.lines) for switches in ways]


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
