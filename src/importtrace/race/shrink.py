"""The fewest switches that still make it fail in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importtrace.race.errors import TimeOver
from importtrace.race.schedule import Schedule, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from importtrace.race.outcome import Result
    from importtrace.race.runner import Runner
    from importtrace.race.scenario import Scenario


MOST_RUNS = 200


def alike(one: Result, other: Result) -> bool:
    """The same failure: the same kind of end, by the same kind of error, at the same place."""
    return one.signature == other.signature


def shrink(
    runner: Runner,
    scenario: Scenario,
    failed: Result,
    same: Callable[[Result, Result], bool] = alike,
) -> Result:
    """The result of the shortest schedule found, by the end of `runner.until`; `failed` itself if none is
    shorter."""
    best, runs = failed, 0
    size = len(_switches(failed))
    while size:
        for first in range(0, len(_switches(best)), size):
            if runs == MOST_RUNS:
                return best
            runs += 1
            found = _switches(best)
            try:
                result = _run(runner, scenario, best, found[:first] + found[first + size :])
            except TimeOver:
                return best
            if same(result, failed) and len(_switches(result)) < len(found):
                best = result
                size = min(size, len(_switches(best)))
                break
        else:
            size //= 2
    return best


def _switches(result: Result) -> tuple[Switch, ...]:
    return result.schedule.switches if result.schedule is not None else ()


def _run(runner: Runner, scenario: Scenario, like: Result, switches: tuple[Switch, ...]) -> Result:
    assert like.schedule is not None
    asked = Schedule(like.schedule.entries, switches, like.schedule.lines)
    return runner.run(scenario.with_(entries=asked.entries), asked, steps=True)
