"""`replay`: forces the order of events of a trace, in fresh processes, and compares what came of it.

    found = replay(tracefile.read("trace.jsonl"), path=["src"])
    found.times, found.of       # 20, 20: the recorded failure came again each time

What a trace does not hold is taken from here: `sys.path`, flags and environment of the interpreter, and
modules that were finished before tracing began. Program code outside imports is not run.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from importtrace.race.errors import InputError
from importtrace.race.outcome import DEADLOCK, TIMEOUT, Result
from importtrace.race.replay_order import Order, read
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Scenario, SetUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from importtrace.race.replay_events import Thread
    from importtrace.race.schedule import Schedule
    from importtrace.records import Trace

TIMES = 20
RUN_LIMIT_S = 30.0
MOST_EVENTS = 200_000
NOT_RECORDED = (
    "sys.path, command line flags and environment variables",
    "modules that were finished before tracing began",
    "what the program does outside imports (only its imports are run)",
)
_PLAN = "importtrace.race.replay_plan:make"
_BEFORE = "importtrace.race.replay_plan:import_first"


@dataclass(slots=True)
class Matched:
    """A recorded failure, and how often it came again in the same statement of the same thread.

    `others`: what came instead, with its count; "no error" among it.
    """

    thread: Thread
    statement: int
    recorded: str
    times: int = 0
    others: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Replayed:
    """`times` of `of` runs failed as recorded. `schedule` is that of the order in one line, where it has
    the same effect. `diverged`: where the order could not be followed; None where it was."""

    order: Order
    python: str
    recorded_python: str
    times: int
    of: int
    result: Result
    matched: list[Matched]
    diverged: str | None
    cause: dict[str, Any] | None
    schedule: Schedule | None
    path: tuple[str, ...]
    notes: list[str]
    seconds: float = 0.0
    interrupted: bool = False  # by Ctrl-C: `of` runs were made, fewer than wanted

    @property
    def reproduced(self) -> bool:
        return self.times > 0

    @property
    def failed(self) -> bool:
        """Exit code 1: the recorded failure, or where none was recorded, any."""
        if self.matched or self.order.hung:
            return self.reproduced
        return not self.result.ok


def replay(
    trace: Trace,
    *,
    path: Iterable[str] = (),
    python: str | None = None,
    times: int = TIMES,
    run_limit_s: float = RUN_LIMIT_S,
    set_up: Iterable[SetUp] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Replayed:
    """Raises InputError for a trace without imports of the program's, or whose modules are not here.

    Ctrl-C ends it with the runs that were made by then (`Replayed.interrupted`)."""
    order = read(trace)
    if not order.threads:
        raise InputError(
            "the trace holds no import of the program's; trace one with 'importtrace run -o FILE …'"
        )
    if len(order.events) > MOST_EVENTS:
        raise InputError(
            f"the trace holds {len(order.events)} events until its failure, more than {MOST_EVENTS}"
        )
    folders, notes = _folders(order, tuple(path))
    notes += [f"the trace is damaged: {problem}" for problem in trace.problems[:3]]
    scenario = _scenario(order, folders, run_limit_s, tuple(set_up))
    with Runner(python) as runner:
        _look(runner, scenario, order, notes)
        found = _run(runner, scenario, order, trace, times, list(notes), progress)
        if found.failed or found.interrupted or not order.expected:
            return found
        # Between two events a thread ran for a while, and nobody recorded how far. Line by line it runs no
        # further than it must.
        tops = tuple(dict.fromkeys(name.partition(".")[0] for name in order.shared))
        if not tops:
            return found
        closer = scenario.with_(lines=True, watched=tops)
        again = _run(runner, closer, order, trace, times, list(notes), progress)
        return again if again.failed else found


def _scenario(
    order: Order, folders: tuple[str, ...], run_limit_s: float, set_up: tuple[SetUp, ...]
) -> Scenario:
    before = [(one.entry.module, one.entry.name) for one in order.before]
    started = [thread for thread in order.threads if not thread.spawned]
    return Scenario(
        tuple(thread.statements[0].entry for thread in started),
        path=folders,
        set_up=(*set_up, SetUp(_BEFORE, (before,))) if before else set_up,
        run_limit_s=run_limit_s,
        further=tuple(
            tuple(statement.entry for statement in thread.statements[1:]) for thread in started
        ),
    )


def _look(runner: Runner, scenario: Scenario, order: Order, notes: list[str]) -> None:
    """Are the modules here? What failed as not found need not be."""
    alone = scenario.with_(set_up=tuple(one for one in scenario.set_up if one.name != _BEFORE))
    found: set[str] = set()
    for thread in order.threads:
        for statement in thread.statements:
            top = statement.entry.module.partition(".")[0]
            missing = (
                statement.failure is not None and statement.failure.type == "ModuleNotFoundError"
            )
            if top not in found and not missing:
                runner.modules(top, alone)
                found.add(top)
    absent = []
    for statement in order.before:
        top = statement.entry.module.partition(".")[0]
        if top not in found and statement.failure is None:
            found.add(top)
            try:
                runner.modules(top, alone)
            except InputError:
                absent.append(top)
    if absent:
        notes.append(
            f"not here, so not imported beforehand: {', '.join(absent)}; --path DIR names a folder"
        )


def _folders(order: Order, given: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """`--path`, then the folders that the trace's modules came from, as far as they are here."""
    here = [root for root in _in_order(order) if os.path.isdir(root)]
    gone = [root for root in order.roots if not os.path.isdir(root)]
    notes = []
    if gone and not given:
        notes.append(
            f"not on this machine: {', '.join(gone)}; --path DIR names where those modules are"
        )
    return given + tuple(root for root in here if root not in given), notes


def _in_order(order: Order) -> list[str]:
    """So that each module is found where it was found then."""
    roots = list(order.roots)
    for module, origin in order.origins.items():
        mine = next((root for root in roots if origin.startswith(root + os.sep)), None)
        if "." in module or mine is None:
            continue
        for other in roots[: roots.index(mine)]:
            if any(os.path.exists(os.path.join(other, module + end)) for end in ("", ".py")):
                roots.remove(mine)
                roots.insert(roots.index(other), mine)
                break
    return roots


# runs ------------------------------------------------------------------------------------------


def _run(
    runner: Runner,
    scenario: Scenario,
    order: Order,
    trace: Trace,
    times: int,
    notes: list[str],
    progress: Callable[[str, int, int], None] | None,
) -> Replayed:
    plan = ("call", _PLAN, (order.events, len(scenario.entries)))
    explained = runner.run(scenario, plan=plan, explain=True, steps=True)
    matched = [
        Matched(order.threads[thread - 1], number, str(failure))
        for thread, number, failure in order.expected
    ]
    results = []
    jobs = (Job(scenario, plan=plan) for _ in range(times))
    interrupted = False
    try:
        for count, (_, result) in enumerate(runner.run_many(jobs), start=1):
            results.append(result)
            if progress is not None:
                progress("replay", count, times)
    except KeyboardInterrupt:
        if not results:
            raise
        interrupted = True
        notes.append(f"stopped after {len(results)} of {times} runs")
    good = [result for result in results if _compare(order, result, matched)]
    shown = good[0] if good else results[0] if results else explained
    cause = explained.cause if explained.outcome == shown.outcome else None
    if order.hung and cause is None:
        cause = shown.cause
    diverged = next((result.diverged for result in (shown, *results) if result.diverged), None)
    recorded = str(trace.header.get("python", "?"))
    extra = _unknown(order, explained)
    if extra:
        notes.append(f"loaded here, and not in the trace: {extra}")
    if recorded != runner.version:
        notes.append(
            f"recorded on Python {recorded}; releases differ in their locks, --python names another"
        )
    if trace.header.get("end") == "died":
        notes.append("the recorded process was killed, or crashed: that is no error in the trace")
    if trace.header.get("dropped"):
        notes.append(f"{trace.header['dropped']} records did not fit into the trace")
    if trace.header.get("mode") == "finder":
        notes.append("the trace holds loads only: no requests, waits or hand-outs (mode finder)")
    found = Replayed(
        order,
        runner.version,
        recorded,
        len(good),
        len(results),
        shown,
        matched,
        diverged,
        cause,
        _in_one_line(runner, scenario, order, shown) if good and not interrupted else None,
        scenario.path,
        order.notes + notes,
    )
    found.seconds = sum(result.seconds for result in results)
    found.interrupted = interrupted
    return found


def _compare(order: Order, result: Result, matched: list[Matched]) -> bool:
    """Whether this run failed as recorded: by the first recorded failure; the others are counted, too."""
    ends = {(end[0], end[1]): end for end in result.statements}
    first = None
    for one, (thread, number, failure) in zip(matched, order.expected, strict=True):
        end = ends.get((thread, number))
        if one.thread.spawned:
            same = False  # a thread of the program's: what came of it is not seen
            one.others["a thread that a module starts: not seen"] += 1
        elif end is None:
            same = False
            one.others["did not end"] += 1
        elif end[2] == "ok":
            same = False
            one.others["no error"] += 1
        else:
            same = failure.like(end[3], end[4])
            if not same:
                one.others[f"{end[3]}: {end[4]}"] += 1
        one.times += same
        first = same if first is None else first
    if first is None:
        return order.hung and result.outcome in (DEADLOCK, TIMEOUT)
    return first


def _unknown(order: Order, result: Result) -> str:
    """Modules that were loaded here and that the trace does not hold, but for the standard library."""
    files = dict(result.files)
    names = [name for name in result.loaded if name in files and name not in order.modules]
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _in_one_line(
    runner: Runner, scenario: Scenario, order: Order, failed: Result
) -> Schedule | None:
    """What was done, as a schedule that can be pasted; None where that line alone does not fail alike."""
    schedule = failed.schedule
    if schedule is None or any(scenario.further) or any(t.spawned for t in order.threads):
        return None
    if any(switch.kind == "stuck" for switch in schedule.switches):
        return None
    bare = replace(scenario, set_up=(), further=())
    result = runner.run(bare, schedule)
    return schedule if result.signature == failed.signature else None
