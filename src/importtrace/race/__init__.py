"""Finds an entry order or a thread interleaving that makes an import fail, and proves it.

    from importtrace import race

    report = race.explore("exceptions", path=["src"])           # what `importtrace reproduce` does
    result = race.run_schedule("v1:exceptions,exceptions.exceptions_agent:1@acquire/...", path=["src"])

The layers, lowest first (those in the child use no standard library); each file's docstring says more:

    schedule, scenario, outcome   data: which thread goes on where; what is run; what came of it
    _points, _control, _limits    in the child: where threads stop, who goes on, for how long
    _child, _warm                 in the child: run one job; the warm parent that forks a child per job
    runner                        `Runner.run(scenario, schedule) -> Result`: processes, limits, dead children
    modules, orders               what the target holds; each module first, each order of entries
    steps, groups, strategies/    what a run did; which entries and which schedule to try next
    search, shrink, proof         find, make short, replay and confirm
    proving                       the findings of a search, one after the other, into its report
    replay*                       force the order of a trace (`importtrace replay`)
    conditions*                   the same search in other environments, as a matrix
    coverage, report, testfile    what was run in numbers; text, JSON, the pytest test
    command                       the command line

A `Scenario` says what is run (entries, path, set-up steps), a `Schedule` which thread goes on at which
point, a `Result` what came of one run, a `Report` what came of a search. All of them can be compared
and printed; none holds a process. Only `Runner` starts processes, and must be closed.

The program under test is executed, in child processes of its own.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importtrace.race.findings import Report
    from importtrace.race.outcome import Result, ThreadOutcome
    from importtrace.race.proof import run_schedule
    from importtrace.race.runner import Runner
    from importtrace.race.scenario import Entry, Scenario, SetUp
    from importtrace.race.schedule import Schedule, Switch
    from importtrace.race.search import explore

__all__ = [
    "Entry",
    "Report",
    "Result",
    "Runner",
    "Scenario",
    "Schedule",
    "SetUp",
    "Switch",
    "ThreadOutcome",
    "explore",
    "run_schedule",
]

# All of it later: the child, too, imports this package, and nothing of the standard library with it.
_LATER = {
    "Entry": "importtrace.race.scenario",
    "Report": "importtrace.race.findings",
    "Result": "importtrace.race.outcome",
    "Runner": "importtrace.race.runner",
    "Scenario": "importtrace.race.scenario",
    "Schedule": "importtrace.race.schedule",
    "SetUp": "importtrace.race.scenario",
    "Switch": "importtrace.race.schedule",
    "ThreadOutcome": "importtrace.race.outcome",
    "explore": "importtrace.race.search",
    "run_schedule": "importtrace.race.proof",
}


def __getattr__(name: str) -> object:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(module, fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
