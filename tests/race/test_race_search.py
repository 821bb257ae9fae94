"""From a name to a proven failure, or to what was covered without one."""

import itertools
from pathlib import Path

import pytest
from race_support import CYCLE, PARENTS_FIRST, WITHOUT_CYCLE

from importtrace.race import explore
from importtrace.race.coverage import coverage
from importtrace.race.modules import Sources
from importtrace.race.orders import ALWAYS, MISSING, ORDER
from importtrace.race.orders import CYCLE as CIRCULAR
from importtrace.race.report import text
from importtrace.race.report_json import data
from importtrace.race.runner import Job
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule, Switch
from importtrace.race.steps import default
from importtrace.race.strategies.exhaustive import Exhaustive
from importtrace.race.strategies.pct import Pct

LAZY = """
ready = False
def __getattr__(name):
    global ready
    if not ready:
        ready = True
        from lazy import parts
        globals().update(vars(parts))
    if name in globals():
        return globals()[name]
    raise AttributeError(name)
"""
GUARDED = "try:\n    from kit.fails import VALUE\nexcept ModuleNotFoundError:\n    VALUE = 0\n"
WARMUP = Path(__file__).parents[2] / "examples" / "warmup_race"


@pytest.fixture(scope="module")
def found():
    """The example of the report, from its package's name alone."""
    return explore("exceptions", path=[str(WARMUP / "as_found"), str(WARMUP)], seed=1)


def test_reported_race_is_found_from_the_name_alone(found):
    """The one that 500 imports on ten threads did not find."""
    assert all(row.outcome == "ok" for row in found.orders)
    assert len(found.orders) == 3
    if PARENTS_FIRST:
        pytest.skip("this release has no such race (3.15)")
    proof = found.proofs[0]
    assert proof.certain
    assert proof.confirmed
    if not proof.own:
        assert found.failed
        assert len(proof.schedule.switches) == 1
        assert proof.cause["kind"] in ("thread_race", "lock_order")


def test_text_is_80_columns_wide_but_for_what_is_pasted(found):
    """At 3 a.m., on any terminal."""
    lines = text(found).splitlines()
    long = [line for line in lines if len(line) > 80 and "/" not in line]
    assert long == []
    assert any("import exceptions" in line for line in lines) == bool(found.proofs)
    assert "safe" not in text(found).lower()


def test_json_is_in_the_contracts_shape(found):
    """DESIGN, section 5."""
    shape = data(found)
    assert {"target", "schedules_run", "seconds", "orders", "interleavings", "coverage"} <= set(
        shape
    )
    for row in shape["orders"]:
        assert {"entries", "outcome", "cause"} <= set(row)
    for row in shape["interleavings"]:
        assert {"schedule", "outcome", "cause", "replayed"} <= set(row)
        assert str(Schedule.parse(row["schedule"])) == row["schedule"]


def test_mended_twin_is_not_blamed_and_coverage_is_numbers(package):
    """Never "safe": what was run is said in numbers."""
    report = explore("ring", path=[package(WITHOUT_CYCLE)], time_limit_s=20)
    assert not report.failed
    assert report.complete
    said = coverage(report)
    assert said.startswith("no failure in all 3 orders")
    assert "up to 2 switches" in said


def test_order_failures_are_told_from_what_is_missing(package):
    """A cycle that one order survives, an optional dependency, a bug of its own."""
    files = {
        "kit/__init__.py": "",
        "kit/a.py": "class A: pass\nimport kit.b\nkit.b.B\n",
        "kit/b.py": "from kit.a import A\nclass B: pass\n",
        "kit/c.py": "from kit.a import A\n",
        "kit/needs.py": "import not_installed_anywhere\n",
        "kit/own.py": "1 / 0\n",
        "kit/loop.py": "from kit.pool import one\ntwo = 2\n",
        "kit/pool.py": "from kit.loop import two\none = 1\n",
    }
    report = explore("kit", path=[package(files)], strategy="orders")
    judged = {row.entries[0]: row for row in report.orders}
    assert judged["kit.a"].outcome == "ok"
    assert judged["kit.b"].judged == ORDER
    assert judged["kit.b"].confirmed  # in an interpreter that was not forked, too
    assert judged["kit.own"].confirmed is None  # nobody is blamed for it
    assert judged["kit.b"].works_after
    assert judged["kit.needs"].judged == MISSING
    assert judged["kit.needs"].missing == "not_installed_anywhere"
    assert judged["kit.own"].judged == ALWAYS
    assert judged["kit.loop"].judged == CIRCULAR
    assert report.failed
    assert not judged["kit.needs"].failed
    assert not judged["kit.own"].failed


def test_missing_dependency_alone_is_no_failure(package):
    """Exit code 0: it is missing in every order."""
    folder = package({"kit/__init__.py": "", "kit/needs.py": "import not_installed_anywhere\n"})
    assert not explore("kit", path=[folder], time_limit_s=10).failed


def test_entry_that_always_fails_is_a_failure_where_it_was_named(package):
    """Nothing could be explored; that is no success."""
    folder = package({"kit/__init__.py": "", "kit/bad.py": "1 / 0\n"})
    report = explore("kit", entries=["kit.bad", "kit"], path=[folder], time_limit_s=10)
    assert report.failed
    assert not explore("kit", path=[folder], time_limit_s=10).failed


def test_entries_that_fail_in_every_order_are_not_tried_on_threads(package):
    """It would say nothing, and takes all of the time."""
    folder = package({"kit/__init__.py": "", "kit/bad.py": "1 / 0\n", "kit/worse.py": "1 / 0\n"})
    report = explore("kit.bad", entries=["kit.bad", "kit.worse"], path=[folder])
    assert report.failed
    assert report.groups == 0
    assert report.notes == ["no order of the entries works in one thread: threads were not tried"]


def test_every_order_of_the_entries_is_run(package):
    """Three entries, six orders, and each module first."""
    folder = package({f"m{n}.py": "" for n in range(3)})
    report = explore("m0", entries=["m0", "m1", "m2"], path=[folder], strategy="orders")
    orders = {row.entries for row in report.orders if len(row.entries) == 3}
    assert orders == set(itertools.permutations(("m0", "m1", "m2")))


def all_schedules(runner, scenario, bound):
    """Brute force: every placement of up to `bound` preemptions, without any reduction."""
    outcomes, todo, seen = {}, [((), 0)], set()
    while todo:
        switches, cost = todo.pop()
        result = runner.run(scenario, Schedule(scenario.entries, switches), steps=True)
        outcomes.setdefault(result.signature, switches)
        decisions = [step for step in result.steps if step[4]]
        for at, step in enumerate(decisions):
            for thread in range(1, 4):
                if not step[5] >> thread & 1 or thread == step[4]:
                    continue
                more = cost + bool(step[0] and step[5] >> step[0] & 1 and thread != step[0])
                kept = [s for s in decisions[:at] if s[4] != default(s)]
                if at < len(decisions) and len(kept) < len(switches):
                    continue  # before the last switch: a sibling's matter
                found = [Switch(*s[:5]) for s in kept]
                if thread != default(step):
                    found.append(Switch(*step[:4], thread))
                key = tuple(found)
                if more <= bound and key not in seen:
                    seen.add(key)
                    todo.append((key, more))
    return outcomes, len(seen) + 1


@pytest.mark.parametrize(
    "files",
    [
        CYCLE,
        {"box/__init__.py": "from .lid import LID\n", "box/lid.py": "LID = 1\n"},
        {
            "kit/__init__.py": "",
            "kit/fails.py": "VALUE = 1\nimport not_installed_anywhere\n",
            "kit/one.py": GUARDED,
            "kit/two.py": GUARDED,
        },
        {
            "use/__init__.py": "",
            "use/one.py": "from lazy import one\n",
            "use/two.py": "from lazy import two\n",
            "lazy/__init__.py": LAZY,
            "lazy/parts.py": "one = two = 1\n",
        },
    ],
    ids=["cycle", "child", "failed elsewhere", "lazy elsewhere"],
)
def test_reduction_loses_no_outcome(runner, package, files):
    """What brute force finds with one switch, the reduced search finds, with far fewer runs."""
    folder = package(files)
    names = [name[:-3].replace("/", ".").removesuffix(".__init__") for name in files]
    pair = {
        "ring": ("ring", "ring.right"),
        "box": ("box", "box.lid"),
        "kit": ("kit.one", "kit.two"),
        "use": ("use.one", "use.two"),
    }
    entries = pair[names[0]]
    scenario = Scenario.of(*entries, path=(folder,))
    expected, runs = all_schedules(runner, scenario, 1)
    where = {name: f"{folder}/{file}" for name, file in zip(names, files, strict=True)}
    strategy = Exhaustive(scenario, 1, Sources(where).reads)
    got, ran = set(), 0
    while (job := strategy.next()) is not None:
        result = runner.run(job.scenario, job.schedule, steps=True)
        got.add(result.signature)
        strategy.told(job, result)
        ran += 1
    assert strategy.complete
    assert set(expected) == got
    assert ran <= runs


def test_random_schedules_are_those_of_the_seed(runner, package):
    """Printed, given again, the same."""
    scenario = Scenario.of("ring", "ring.right", path=(package(CYCLE),))

    def draw(seed):
        strategy = Pct(scenario, seed, 20, 5)
        return [strategy.next().plan for _ in range(5)]

    assert draw(7) == draw(7) != draw(8)


def test_random_schedules_find_the_race_too(runner, package):
    """With enough draws; each can be replayed from the switches that it made."""
    scenario = Scenario.of("ring", "ring.right", path=(package(CYCLE),))
    strategy = Pct(scenario, 3, 20, 60)
    jobs = iter(strategy.next, None)
    bad = [result for _, result in runner.run_many(jobs) if not result.ok]
    if PARENTS_FIRST:
        pytest.skip("no such race on this release (3.15)")
    assert bad
    again = list(
        runner.run_many(Job(scenario, result.schedule, key=result.signature) for result in bad[:10])
    )
    assert all(result.signature == job.key for job, result in again)
