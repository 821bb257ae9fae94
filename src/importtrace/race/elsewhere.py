"""The same failure on another interpreter: does an upgrade remove it?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from importtrace.race.errors import TimeOver
from importtrace.race.findings import Elsewhere
from importtrace.race.runner import Runner
from importtrace.race.scenario import Scenario
from importtrace.race.search import explore

if TYPE_CHECKING:
    from importtrace.race.proof import Proof

SEARCH_S = 15.0


def compare(
    proof: Proof,
    python: str,
    path: tuple[str, ...],
    run_limit_s: float,
    time_limit_s: float | None = None,
) -> Elsewhere | None:
    """Runs the schedule there; where that does not fail, looks for another way in which these entries do.

    None: `time_limit_s` did not suffice to run it.

    Raises InputError for an interpreter that is none.
    """
    until = None if time_limit_s is None else time.monotonic() + time_limit_s
    schedule = proof.schedule
    scenario = Scenario(schedule.entries, path=path, lines=schedule.lines, run_limit_s=run_limit_s)
    with Runner(python) as runner:
        version = runner.version
        runner.until = until
        try:
            result = runner.run(scenario, schedule)
        except TimeOver:
            return None
    also, runs = None, 1
    if result.ok:
        # A place that is not there, or that another lock guards, proves nothing by itself.
        report = explore(
            schedule.entries[0].module,
            entries=[str(entry) for entry in schedule.entries],
            threads=len(schedule.entries),
            path=path,
            python=python,
            time_limit_s=SEARCH_S if until is None else max(0.05, min(SEARCH_S, _left(until))),
            run_limit_s=run_limit_s,
            lines=schedule.lines,
            orders_of_entries_only=True,
        )
        if report.interrupted:
            raise KeyboardInterrupt
        runs += report.schedules_run
        if report.proofs:
            found = report.proofs[0]
            also = str(found.schedule), found.result.outcome
    return Elsewhere(version, result.outcome, result.diverged, also, runs)


def _left(until: float) -> float:
    return until - time.monotonic()
