"""`importtrace replay`: a recorded failure comes again each time, from the trace alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from race_support import PARENTS_FIRST, TRUE_HERE, write

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "warmup_race"
SITE = Path(__file__).resolve().parents[2] / "src" / "importtrace" / "inject" / "site"
# The package of the example as a user has it: without the gates that took the luck out of the recording.
BARE = {
    "exceptions/__init__.py": "from .exceptions_service import AgentError, ServiceError\n",
    "exceptions/exceptions_service.py": """
        class ServiceError(Exception): pass
        from .exceptions_agent import AgentError
        """,
    "exceptions/exceptions_agent.py": """
        from .exceptions_service import ServiceError
        class AgentError(ServiceError): pass
        """,
}
# Each body tells the other that it has begun, so that they always meet; alone, it waits for nobody.
MEETING = """
import threading
BEGUN = {name: threading.Event() for name in ("one", "two")}
LOCK = threading.Lock()
armed = False
def meet(mine, other):
    BEGUN[mine].set()
    if armed:
        BEGUN[other].wait(10)
"""


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def replay(*arguments, **options):
    return python("-m", "importtrace", "replay", *arguments, **options)


def by_run(trace, *target, expected=1):
    done = python("-m", "importtrace", "run", "--log", "off", "-o", trace, *target)
    assert done.returncode == expected, done.stderr
    return trace


# Newer patch releases wait for the unfinished package: of the example's three threads one fails then, by a
# deadlock of two locks.
DEADLOCK = TRUE_HERE["waits_for_parent"]
needs_failure = pytest.mark.skipif(PARENTS_FIRST, reason="3.15 waits here, and nothing fails")


def made_by_run(folder):
    ends = 0 if PARENTS_FIRST else 1  # 3.15 waits, and nothing fails
    return by_run(folder / "trace.jsonl", EXAMPLE / "service.py", expected=ends)


def made_by_injection(folder):
    trace = folder / "trace.jsonl"
    added = {"IMPORTTRACE": "1", "IMPORTTRACE_LOG": "off", "IMPORTTRACE_FILE": str(trace)}
    done = python(EXAMPLE / "service.py", env=os.environ | added | {"PYTHONPATH": str(SITE)})
    assert done.returncode == 1, done.stderr
    return trace


def made_by_a_process_that_was_killed(folder):
    program = write(
        folder / "program",
        {
            "main.py": f"""
            import os, signal, sys
            sys.path.insert(0, {str(EXAMPLE)!r})
            import service
            service.main()
            os.kill(os.getpid(), signal.SIGKILL)
            """
        },
    )
    spool = folder / "spool"
    done = python(
        "-m", "importtrace", "run", "--log", "off", "--spool", spool, program + "/main.py"
    )
    assert done.returncode == -signal.SIGKILL
    (trace,) = spool.glob("*.spool")
    return trace


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The example's failure in three threads, as its trace."""
    return made_by_run(tmp_path_factory.mktemp("recorded"))


@needs_failure
@pytest.mark.parametrize(
    "made", [made_by_run, made_by_injection, made_by_a_process_that_was_killed]
)
def test_recorded_race_comes_again_each_time(made, tmp_path):
    """All errors of the three threads, 20 of 20, without the gates that decided the order then."""
    trace = made(tmp_path)
    done = replay(trace, "--path", write(tmp_path / "bare", BARE), "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["reproduced"] == "20/20"
    assert [one["reproduced"] for one in found["failures"]] == ["20/20"] * (1 if DEADLOCK else 3)
    assert found["followed"]
    kinds = ("lock_order",) if DEADLOCK else ("failed_in_other_thread", "thread_race")
    assert found["cause"]["kind"] in kinds
    assert [thread["statements"] for thread in found["threads"]] == [
        ["import exceptions"],
        ["import exceptions.exceptions_agent"],
        ["from exceptions import ServiceError"],
    ]


@needs_failure
def test_trace_of_another_machine_needs_the_folder_alone(recorded, tmp_path):
    """Its own folders are not there; --path names where the code is."""
    text = recorded.read_text().replace(str(EXAMPLE), "/srv/elsewhere")
    trace = tmp_path / "moved.jsonl"
    trace.write_text(text)
    refused = replay(trace)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--path" in refused.stderr
    code = shutil.copytree(EXAMPLE / "as_found", tmp_path / "code")
    shutil.copy(EXAMPLE / "gates.py", code)
    done = replay(trace, "--path", code, "--times", "4")
    assert done.returncode == 1, done.stderr
    assert "4/4" in done.stdout


@needs_failure
def test_schedule_that_it_prints_fails_alike(recorded, tmp_path):
    """One line, for people who have no trace."""
    bare = write(tmp_path, BARE)
    found = json.loads(replay(recorded, "--path", bare, "--times", "2", "--json").stdout)
    for schedule in (found["schedule"], tmp_path / "race.schedule"):
        (tmp_path / "race.schedule").write_text(f"# a comment\n{found['schedule']}\n")
        done = replay(schedule, "--path", bare, "--times", "3", "--json")
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["reproduced"] == "3/3"


@pytest.mark.skipif(DEADLOCK, reason="the order of two locks is the same without the cycle")
def test_mended_code_is_exit_code_0_and_says_where_the_order_was_left(recorded):
    """At which event, and what came instead."""
    done = replay(recorded, "--path", EXAMPLE / "without_cycle", "--times", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be" in done.stdout
    text = " ".join(done.stdout.split())
    assert "Left the recorded order at event" in text
    assert "exceptions_agent.py, line 5): the thread came to" in text
    assert "instead, 2 times: no error" in text


def test_it_says_what_was_not_recorded(recorded):
    """What is of this machine might be the reason why a failure does not come."""
    text = " ".join(replay(recorded, "--times", "1").stdout.split())
    assert "Not recorded" in text
    assert "sys.path" in text
    assert "finished before tracing began" in text


def test_failure_that_needs_no_threads(tmp_path):
    """Statements before it are run, in their order, and what failed and was handled is passed over."""
    program = write(
        tmp_path,
        {
            "main.py": "import first\ntry: import nowhere\nexcept ImportError: pass\nimport second\n",
            "first.py": "import sys\nsys.seen = True\n",
            "second.py": "import sys\nif hasattr(sys, 'seen'): raise ValueError('first was first')\n",
        },
    )
    trace = by_run(tmp_path / "trace.jsonl", program + "/main.py")
    done = replay(trace, "--times", "3", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["reproduced"]) == (1, "3/3")
    assert found["before"] == ["import first", "import nowhere"]
    assert found["failures"][0]["recorded"] == "ValueError: first was first"


def test_threads_with_several_statements_each_in_its_place(tmp_path):
    """A failure is looked for in the statement that had it, not in the thread's first that fails."""
    program = write(
        tmp_path,
        {
            "meeting.py": MEETING,
            "main.py": """
                import threading
                import meeting
                meeting.armed = True
                def left():
                    try: import nowhere
                    except ImportError: pass
                    import one
                def right():
                    import two
                    import broken
                threads = [threading.Thread(target=f) for f in (left, right)]
                [t.start() for t in threads]
                [t.join() for t in threads]
                """,
            "one.py": "import meeting\nmeeting.meet('one', 'two')\n",
            "two.py": "import meeting\nmeeting.meet('two', 'one')\n",
            "broken.py": "raise KeyError('broken')\n",
        },
    )
    trace = by_run(tmp_path / "trace.jsonl", program + "/main.py", expected=0)
    done = replay(trace, "--times", "3", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["reproduced"]) == (1, "3/3")
    assert ["import two", "import broken"] in [one["statements"] for one in found["threads"]]


def test_hang_of_a_process_that_had_to_be_killed(tmp_path):
    """A lock of the program's and a module's, taken in opposite order: who holds what is said."""
    program = write(
        tmp_path / "code",
        {
            "meeting.py": MEETING,
            "main.py": """
                import os, signal, sys, threading, time
                import meeting
                meeting.armed = True
                threads = [threading.Thread(target=__import__, args=(m,)) for m in ("one", "two")]
                [t.start() for t in threads]
                def waits(thread):
                    frame = sys._current_frames().get(thread.ident)
                    return frame is not None and frame.f_code.co_name in ("acquire", "__enter__")
                end = time.monotonic() + 20
                while not waits(threads[0]) and time.monotonic() < end:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
                """,
            "one.py": """
                import meeting
                meeting.LOCK.acquire()
                meeting.meet("one", "two")
                import two
                """,
            "two.py": """
                import meeting
                meeting.meet("two", "one")
                meeting.LOCK.acquire()
                """,
        },
    )
    spool = tmp_path / "spool"
    done = python(
        "-m", "importtrace", "run", "--log", "off", "--spool", spool, program + "/main.py"
    )
    assert done.returncode == -signal.SIGKILL
    (trace,) = spool.glob("*.spool")
    done = replay(trace, "--times", "2", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["reproduced"]) == (1, "2/2")
    assert found["outcome"] == "deadlock"
    assert "two" in found["message"]


def test_trace_without_failure_is_run_and_said(tmp_path):
    """Nothing to look for, and nothing came: 0."""
    program = write(tmp_path, {"main.py": "import calm\n", "calm.py": ""})
    trace = by_run(tmp_path / "trace.jsonl", program + "/main.py", expected=0)
    done = replay(trace, "--times", "1")
    assert done.returncode == 0
    assert "holds no failure" in done.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (None, ["missing.jsonl"], "no file"),
        ("", ["given"], "empty"),
        ("hello\n", ["given"], "neither a trace nor a schedule"),
        ('{"type":"other"}\n', ["given"], "not an importtrace file"),
        ('{"type":"trace","schema":1,"start":1}\n', ["given"], "no import of the program's"),
        ('{"type":"trace","schema":9,"start":1}\n', ["given"], "schema"),
        (None, ["."], "is a folder"),
        (None, ["v1:nowhere_to_be_found"], "no module named"),
        (None, ["v1:json:nonsense"], "no switch"),
        (None, ["v1:json", "--times", "0"], "--times"),
        (None, ["v1:json", "--path", "/nowhere"], "no folder"),
        (None, ["v1:json", "--python", "/nowhere/python"], "/nowhere/python"),
        (None, [], "TRACE|SCHEDULE"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(content, arguments, said, tmp_path):
    """What, why, what next; no traceback."""
    if content is not None:
        (tmp_path / "given").write_text(content)
    done = replay(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_trace_that_was_cut_says_so(tmp_path):
    """The failure may be in the part that is not there."""
    folder = write(tmp_path / "code", {"whole.py": "import json\n"})
    trace = by_run(
        tmp_path / "t.jsonl",
        "-c",
        f"import sys; sys.path[:0] = [{folder!r}]; import whole",
        expected=0,
    )
    text = trace.read_text()
    cut = tmp_path / "cut.jsonl"
    cut.write_text(text[: text.rindex('"kind"')])
    said = " ".join(replay(cut, "--path", folder, "--times", "1").stdout.split())
    assert "Note: the trace is damaged" in said
