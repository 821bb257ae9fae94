"""The findings of a search, made short and proven, one after the other, into its report."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from importtrace.race import steps
from importtrace.race.errors import TimeOver
from importtrace.race.outcome import DEADLOCK, TIMEOUT
from importtrace.race.proof import Proof, other_ways, prove, unproven
from importtrace.race.shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Callable

    from importtrace.race.findings import Report
    from importtrace.race.outcome import Result
    from importtrace.race.runner import Runner
    from importtrace.race.scenario import Scenario

MOST_FINDINGS = 3


def by_interpreter(result: Result) -> bool:
    """CPython's own order of locks is to blame, see `steps.by_interpreter`."""
    first = result.first
    return steps.by_interpreter(result.steps, first.thread if first is not None else None)


def prove_all(
    runner: Runner,
    scenario: Scenario,
    findings: list[Result],
    report: Report,
    *,
    run_limit_s: float,
    interrupted: bool,
    progress: Callable[[str, int, int], None],
) -> None:
    """Adds to `report.proofs` and `.notes`; of CPython's own deadlock, one example. `run_limit_s`: of what
    does not hang. Ctrl-C, now or before (`interrupted`): what was seen is told as it is."""
    genuine = [found for found in findings if not by_interpreter(found)]
    own = [found for found in findings if by_interpreter(found)]
    own.sort(key=lambda found: found.outcome == DEADLOCK)  # what was handed out says more
    for found in genuine[:MOST_FINDINGS] + ([] if genuine and not report.strict else own[:1]):
        proof = unproven(found, own=by_interpreter(found), interrupted=True)
        if not interrupted:
            # A hang takes all of its limit each time; what else failed may take what it needs.
            wide = found.outcome != TIMEOUT
            room = scenario.with_(run_limit_s=run_limit_s) if wide else scenario
            with contextlib.suppress(KeyboardInterrupt):
                proof = _proven(runner, room, found, progress)
        interrupted = interrupted or proof.interrupted
        if proof.replayed or proof.confirmed or proof.cut:
            report.proofs.append(proof)
        else:
            report.note(f"once, and never again: {found.message} ({found.schedule})")
    report.interrupted = report.interrupted or interrupted


def _proven(
    runner: Runner,
    scenario: Scenario,
    found: Result,
    progress: Callable[[str, int, int], None],
) -> Proof:
    def ticked(done: int, total: int) -> None:
        progress("replays", done, total)

    small = shrink(runner, scenario, found)
    proof = prove(runner, scenario, small, own=by_interpreter(found), progress=ticked)
    if proof.cut or proof.interrupted:
        return proof
    for turned in other_ways(small):
        try:
            seen = runner.run(scenario.with_(entries=turned.entries), turned, steps=True)
        except TimeOver:
            return proof
        except KeyboardInterrupt:
            return replace(proof, interrupted=True)
        if not (seen.ok or seen.slow or seen.signature == small.signature):
            other = prove(runner, scenario, seen, own=by_interpreter(seen), progress=ticked)
            return replace(proof, other=other, interrupted=other.interrupted)
    return proof
