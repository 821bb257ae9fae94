"""The scheduler in the child: who goes on, what counts as blocked, and that it is what CPython does."""

import pytest
from race_support import CYCLE

from importtrace.race.runner import Job
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule
from importtrace.race.steps import by_interpreter

LOCK_INVERSION = {
    "hub/__init__.py": "",
    "hub/lock.py": "import threading\nheld = threading.Lock()\n",
    "hub/one.py": "from hub.lock import held\nwith held:\n    import hub.two\n",
    "hub/two.py": "from hub.lock import held\nwith held:\n    pass\n",
}
JOINED = {
    "feed/__init__.py": "",
    "feed/table.py": """
        import threading
        def read():
            import feed.table
        reader = threading.Thread(target=read)
        reader.start()
        reader.join()
    """,
}
RING_OF_THREE = {
    "trio/__init__.py": "on = set()\n",
    **{
        f"trio/{name}.py": f"import trio\nif {name!r} in trio.on: from .{after} import {after}\n{name} = 1\n"
        for name, after in (("a", "b"), ("b", "c"), ("c", "a"))
    },
    **{f"trio/start_{n}.py": f"import trio\ntrio.on.add({n!r})\nimport trio.{n}\n" for n in "abc"},
}


def run(runner, folder, text, **options):
    schedule = Schedule.parse(text)
    options.setdefault("run_limit_s", 5.0)
    scenario = Scenario(schedule.entries, path=(folder,), **options)
    return runner.run(scenario, schedule, steps=True, explain=True)


def test_without_switches_entries_run_one_after_the_other(runner, package):
    """The rule: a thread goes on until it can not."""
    result = run(runner, package(CYCLE), "v1:ring,ring.right")
    assert result.ok
    assert result.schedule.switches == ()
    order = [step[0] for step in result.steps]
    assert order == sorted(order)


@pytest.mark.parametrize("fork", [True, False])
def test_half_built_module_is_handed_out_where_waiting_would_be_a_deadlock(runner, package, fork):
    """The race of the two sides of a cycle, with its cause, forked or not."""
    schedule = Schedule.parse("v1:ring,ring.right:1@body/ring.left=2")
    scenario = Scenario(schedule.entries, path=(package(CYCLE),))
    result = runner.run(scenario, schedule, explain=True, fork=fork)
    assert result.outcome in ("import_error", "deadlock", "ok")
    if result.outcome == "import_error":  # releases that do not wait for the package first
        assert "Right" in result.message
        assert result.cause["kind"] == "thread_race"
        assert result.first.thread == 1
        assert result.first.frames[-1][2] == "ring.left"
    elif result.outcome == "deadlock":
        assert result.cause["kind"] == "lock_order"


def test_same_schedule_does_the_same_each_time(runner, package):
    """Fifty runs, one sequence of steps."""
    schedule = Schedule.parse("v1:ring,ring.right:1@body/ring.left=2")
    scenario = Scenario(schedule.entries, path=(package(CYCLE),))
    jobs = (Job(scenario, schedule, steps=True) for _ in range(50))
    assert len({result.steps for _, result in runner.run_many(jobs)}) == 1


def test_place_that_is_never_come_to_is_said(runner, package):
    """The entries run all the same."""
    result = run(runner, package(CYCLE), "v1:ring,ring.left:1@body/ring.gone=2")
    assert result.ok
    assert not result.followed
    assert "thread 1 never came to 'body ring.gone'" in result.diverged


def test_switch_to_a_thread_that_cannot_go_on_is_said(runner, package):
    """There is no thread 3."""
    result = run(runner, package(CYCLE), "v1:ring,ring.left:1@body/ring=3")
    assert "thread 3 cannot go on" in result.diverged


def test_lock_of_the_program_against_a_module_lock_is_a_deadlock(runner, package):
    """Neither thread can go on, and it is known at once, not at the time limit."""
    text = "v1:hub.one,hub.two:1@acquire/hub.two=2:2@body/hub.two=1"
    result = run(runner, package(LOCK_INVERSION), text, run_limit_s=30.0)
    assert result.outcome == "deadlock"
    assert result.seconds < 5
    assert result.cause["kind"] == "lock_order"
    assert result.cause["waits"][0]["for"] == "hub.two"
    assert result.cause["waits"][0]["held_by"]["name"] == "thread 2"
    assert "two.py" in result.message


def test_blocked_thread_lets_others_go_on_and_comes_back(runner, package):
    """A lock that is given back in time is no deadlock; who was blocked is a point like others."""
    files = {**LOCK_INVERSION, "hub/three.py": "", "hub/one.py": LOCK_INVERSION["hub/one.py"]}
    files["hub/one.py"] = files["hub/one.py"].replace("hub.two", "hub.three")
    folder = package(files)
    result = run(runner, folder, "v1:hub.one,hub.two:1@acquire/hub.three=2")
    assert result.ok, result.message
    assert (2, "outside", "hub.two") in {step[:3] for step in result.steps}


def test_body_that_joins_a_thread_that_imports_it_is_a_deadlock(runner, package):
    """One entry is enough; the thread that the body started is controlled, too."""
    result = run(runner, package(JOINED), "v1:feed.table", run_limit_s=30.0)
    assert result.outcome == "deadlock"
    assert result.seconds < 5
    assert "thread 2 waits for feed.table, held by thread 1" in result.message


def test_three_threads_in_a_ring(runner, package):
    """CPython's detector sees a ring of three; the one that closes it gets what there is."""
    text = (
        "v1:trio.start_a,trio.start_b,trio.start_c:1@body/trio.a=2:2@body/trio.b=3:3@body/trio.c=1"
    )
    result = run(runner, package(RING_OF_THREE), text)
    assert result.outcome in ("import_error", "deadlock"), result.message
    assert run(runner, package(RING_OF_THREE), text.partition(":1@")[0]).ok


def test_child_against_its_package_is_the_interpreters_own_deadlock(runner, package):
    """No cycle in the code; CPython up to 3.14 takes the child's lock first."""
    folder = package({"box/__init__.py": "from .lid import LID\n", "box/lid.py": "LID = 1\n"})
    text = "v1:box.lid,box:1@acquire/box=2:2@acquire/box.lid=1"
    result = run(runner, folder, text)
    if result.outcome == "deadlock":
        assert by_interpreter(result.steps, result.first.thread)
        assert result.first.type == "_DeadlockError"
    else:
        assert result.ok  # 3.15


def test_every_line_of_a_body_is_a_point_if_asked(runner, package):
    """Between two statements that import nothing."""
    folder = package(
        {
            "app/__init__.py": "",
            "app/writer.py": "import app\napp.half = 1\napp.whole = 2\n",
            "app/reader.py": "import app\nassert hasattr(app, 'half') == hasattr(app, 'whole')\n",
        }
    )
    text = "v1+lines:app.writer,app.reader:1@line/app.writer@3=2"
    result = run(runner, folder, text)
    assert result.followed, result.diverged
    assert result.outcome == "error"
    assert result.first.type == "AssertionError"
    kinds = {step[1] for step in result.steps}
    assert "line" in kinds
    assert "line" not in {
        step[1]
        for step in run(
            runner, folder, text[:8].replace("+lines", "") + text[8:].partition(":1@")[0]
        ).steps
    }


def test_deadlock_of_a_thread_that_is_gone_is_orphaned(runner, package):
    """A module lock whose holder has ended will never be given back."""
    folder = package(
        {
            "target.py": """
                import importlib._bootstrap as boot, _thread
                locks = []
                def take():
                    lock = boot._get_module_lock("never")
                    lock.acquire()
                    locks.append(lock)
                done = _thread.allocate_lock()
                done.acquire()
                def body():
                    take()
                    done.release()
                _thread.start_new_thread(body, ())
                done.acquire()
                import never
            """,
            "never.py": "",
        }
    )
    result = run(runner, folder, "v1:target", run_limit_s=20.0)
    assert result.outcome == "deadlock"
    assert result.cause["kind"] == "orphaned_lock"


def test_tracebacks_hold_no_frame_of_ours(runner, package):
    """What the report shows is the program's."""
    result = run(runner, package(CYCLE), "v1:ring,ring.right:1@body/ring.left=2")
    files = [frame[0] for thread in result.threads for frame in thread.frames]
    assert not [file for file in files if "importtrace" in file.rpartition("/src/")[2]]


def test_oracle_of_ones_own_decides_who_goes_on(runner, package):
    """The third kind of plan: a function of a module that is free of the standard library."""
    oracle = """
        class Plan:
            diverged = None
            def __init__(self, first):
                self.first = first
            def __call__(self, control, current, kind, module, nth, runnable):
                return self.first if self.first in runnable else 0
    """
    folder = package({**CYCLE, "oracle.py": oracle})
    scenario = Scenario.of("ring", "ring.left", path=(folder,))
    result = runner.run(scenario, plan=("call", "oracle:Plan", (2,)), steps=True)
    assert result.ok
    order = [step[0] for step in result.steps if step[0]]
    assert order == sorted(order, reverse=True)


def test_fork_in_mid_import_is_an_orphaned_lock(runner, package):
    """The forked process waits for a lock that nobody in it holds; it says so, and both are ended."""
    folder = package(
        {
            "job/__init__.py": "",
            "job/table.py": "import job.rates\n",
            "job/rates.py": "",
            "job/work.py": """
                import os
                child = os.fork()
                if not child:
                    import job.table
                    os._exit(0)
                os.waitpid(child, 0)
            """,
        }
    )
    text = "v1:job.table,job.work:1@acquire/job.rates=2"
    result = run(runner, folder, text, run_limit_s=30.0)
    assert result.outcome == "deadlock"
    assert result.seconds < 10
    assert result.cause["kind"] == "orphaned_lock"
    assert result.cause["module"] == "job.table"
    assert result.cause["chain"][-1]["file"].endswith("work.py")
    assert run(runner, folder, text.partition(":1@")[0]).ok
