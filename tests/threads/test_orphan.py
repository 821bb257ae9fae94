"""A lock whose holder stayed in the parent: told at the fork, told when somebody wants it, raised if asked."""

from __future__ import annotations

import os
import textwrap
from typing import Any

import pytest
from capture_support import PROBED, line_of
from hanging import Hanging, by_name
from test_parentage import BLOCKED

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")

GATES = "import threading\nin_slow = threading.Event()\nleave = threading.Event()\n"
SLOW = "import gates\nearly = 1\ngates.in_slow.set()\ngates.leave.wait(60)\nlate = 2\n"
FILES = {"gates.py": GATES, "slow.py": SLOW, "in_child.py": ""}
# The parent forks while its thread `builder` is in the body of `slow`; the child runs CHILD, and the
# parent waits for its end.
PROGRAM = """
import os, sys, threading, gates, warnings, json, traceback
warnings.simplefilter("ignore")
def say(found):
    os.write(1, f"{json.dumps(found)}\\n".encode())  # whole, whoever else writes
idle = [threading.Thread(target=gates.leave.wait, args=(60,), daemon=True) for turn in range(3)]
builder = threading.Thread(target=__import__, args=("slow",), name="builder")
builder.start()
for thread in idle: thread.start()  # whose idents are given to new threads, too
assert gates.in_slow.wait(20)
ident = builder.ident
pid = os.fork()
if pid == 0:
    try:
        CHILD
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
    sys.exit(0)
say(pid)
os.waitpid(pid, 0)
gates.leave.set()
builder.join(20)
"""


def program(child: str) -> str:
    return PROGRAM.replace("CHILD", textwrap.dedent(child).strip().replace("\n", "\n        "))


def check_partial(cause: dict[str, Any], hanging: Hanging) -> None:
    slow = hanging.folder / "slow.py"
    held = cause["partial"]["held_by"]
    assert held["thread"]["name"] == "builder"
    assert (held["module"], held["file"]) == ("slow", str(slow))
    assert held["line"] == line_of(slow, "gates.leave.wait")
    assert set(cause["partial"]["bound_names"]) == {"gates", "early"}
    assert "state" not in cause["partial"]  # its body does not run, and never will


@pytest.mark.parametrize("mode", PROBED)
def test_the_fork_is_told_of_in_the_parent(mode, tmp_path):
    """One line with module and thread; at later forks only what is new."""
    text = program("import in_child") + "if os.fork() == 0: os._exit(0)\nos.wait()\n"
    text = text.replace(
        "pid = os.fork()", "[os.fork() or os._exit(0) for turn in range(3)]\npid = os.fork()"
    )
    with Hanging(tmp_path, text, FILES, mode=mode) as hanging:
        event = hanging.event("import.fork_held")
        hanging.end()
        assert len(hanging.events("import.fork_held")) == 1
    assert event["level"] == "warning"
    assert event["pid"] == hanging.process.pid
    (held,) = event["held"]
    assert held["module"] == "slow"
    assert held["thread"]["name"] == "builder"
    assert held["file"] == str(tmp_path / "slow.py")
    assert held["line"] == 4
    assert "thread builder was importing slow" in event["summary"]


def test_a_fork_of_nothing_is_not_told_of(tmp_path):
    """Twin: no other thread imports, or it is the forking thread that does."""
    files = {"forks.py": "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n"}
    text = "import threading\nthread = threading.Thread(target=__import__, args=('other',))\n"
    text += "thread.start()\nthread.join()\nimport forks\n"
    files["other.py"] = ""
    with Hanging(tmp_path, text, files, flags=("-W", "ignore")) as hanging:
        hanging.end()
        assert hanging.events("import.fork_held") == []
        assert "orphan" not in hanging.said


@pytest.mark.parametrize("mode", PROBED)
def test_a_hanging_child_says_why_at_once(mode, tmp_path):
    """Within the stall time, without waiting for it: that lock will never be given back."""
    child = """
    import in_child
    def ask():
        import slow
    ask()
    """
    with Hanging(tmp_path, program(child), FILES, mode=mode, stall_seconds=20) as hanging:
        pid = hanging.printed(int)
        event = hanging.event("import.stalled")
        os.kill(pid, 9)
        hanging.end()
    assert event["pid"] == pid
    assert event["level"] == "error"
    assert event["cause_kind"] == "orphaned_lock"
    assert event["stalled_ms"] < 10_000
    cause = event["cause"]
    assert (cause["kind"], cause["module"]) == ("orphaned_lock", "slow")
    assert str(hanging.process.pid) in cause["summary"]
    assert "thread builder was importing it" in cause["summary"]
    assert "root" not in cause
    (wait,) = cause["waits"]
    assert (wait["for"], wait["held_by"]["name"]) == ("slow", "builder")
    link = cause["chain"][-1]
    assert (link["statement"], link["thread"]["name"]) == ("import slow", "MainThread")
    assert by_name(event)["MainThread"]["waits_for"]["holder_alive"] is False


def test_the_child_s_trace_has_the_stall_and_its_parent(tmp_path):
    """Written while it hangs, with the cause, the parent's trace, and the locks without a holder."""
    with Hanging(tmp_path, program("import in_child, slow"), FILES) as hanging:
        pid = hanging.printed(int)
        hanging.event("import.stalled")
        child = hanging.wait_for_header(pid)
        os.kill(pid, 9)
        hanging.end()
        parent = hanging.header()
    assert child["parent_trace"] == {"pid": hanging.process.pid, "start": parent["start"]}
    assert (child["pid"], child["parent_pid"]) == (pid, hanging.process.pid)
    (orphaned,) = child["orphaned"]
    assert (orphaned["module"], orphaned["thread"]["name"]) == ("slow", "builder")
    (stall,) = child["stalls"]
    assert stall["cause"]["kind"] == "orphaned_lock"
    assert all("cause" not in stall for stall in parent.get("stalls", []))
    assert "orphaned" not in parent


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_raise_turns_the_hang_into_an_import_error(mode, tmp_path):
    """With its cause, in the statement that asked; the lock stays as it is, other imports work."""
    child = """
    import importtrace
    found = []
    for turn in range(2):
        try:
            import slow
        except ImportError as error:
            frames, tb = [], error.__traceback__
            while tb is not None:
                frames.append(tb.tb_frame.f_globals["__name__"])
                tb = tb.tb_next
            found.append([error.name, str(error), importtrace.explain(error).to_dict(), frames])
    import in_child
    say(found)
    """
    settings = {"on_orphaned_lock": "raise", "log": "off", "stall_seconds": 0}
    with Hanging(tmp_path, program(child), FILES, mode=mode, **settings) as hanging:
        found = hanging.printed(list)
        hanging.end()
    assert len(found) == 2
    for name, text, cause, frames in found:
        assert name == "slow"
        assert "cannot import 'slow'" in text
        assert frames == ["__main__"]
        assert (cause["kind"], cause["module"]) == ("orphaned_lock", "slow")
        check_partial(cause, hanging)
        assert cause["root"]["type"] == "ImportError"
        assert cause["hint"].startswith("import slow before forking")
    assert found[0][2]["fingerprint"] == found[1][2]["fingerprint"]


def test_raise_reaches_the_traceback_as_a_note(tmp_path):
    """Uncaught in a body of the child: the failed load has the cause, and so has the traceback."""
    files = {**FILES, "wants.py": "import slow\n"}
    settings = {"on_orphaned_lock": "raise", "log": "off"}
    with Hanging(tmp_path, program("import wants"), files, **settings) as hanging:
        out = hanging.end()
    assert "importtrace: the import lock's holder does not exist [orphaned_lock]" in out
    assert out.count("importtrace:") == 1


REUSED = """
found, stay = [], threading.Event()
def ask():
    if threading.get_ident() != ident:
        stay.wait(20)
        return
    found.append(True)
    try:
        from slow import late
        found.append(late)
    except ImportError as error:
        import importtrace
        found.append(importtrace.explain(error).to_dict())
for turn in range(10):
    thread = threading.Thread(target=ask, name="asks", daemon=True)
    thread.start()
    if thread.ident == ident:
        thread.join(20)
        break
stay.set()
say(found)
"""


def test_the_dead_thread_s_ident_given_to_a_new_one(tmp_path):
    """It takes the lock for its own and gets the half-built module: told, and explained when a name of
    it is missing, by the fork and not as somebody's circular import."""
    with Hanging(tmp_path, program(REUSED), FILES) as hanging:
        hanging.printed(int)
        reused, *found = hanging.printed(list) or [False]
        if not reused:
            pytest.skip("this system gives the new thread another ident")
        event = hanging.event("import.orphan_handed_out")
        hanging.end()
    (cause,) = found
    assert (cause["kind"], cause["module"], cause["name"]) == ("orphaned_lock", "slow", "late")
    check_partial(cause, hanging)
    assert cause["bound_at"] == {"file": str(tmp_path / "slow.py"), "line": 5}
    assert event["module_name"] == "slow"
    assert event["thread_name"] == "asks"
    assert event["cause_kind"] == "orphaned_lock"


def test_the_dead_thread_s_ident_given_to_a_new_one_raises(tmp_path):
    """With `raise`, the half-built module is not handed out either."""
    with Hanging(tmp_path, program(REUSED), FILES, on_orphaned_lock="raise") as hanging:
        hanging.printed(int)
        found = hanging.printed(list)
        if not found:
            pytest.skip("this system gives the new thread another ident")
        hanging.end()
    _, cause = found
    assert (cause["kind"], cause["module"]) == ("orphaned_lock", "slow")
    assert "name" not in cause


CROSSED = """
import os, sys, threading, gates, blocked, warnings, json, traceback
warnings.simplefilter("ignore")
builder = threading.Thread(target=__import__, args=("slow",), name="builder")
builder.start()
assert gates.in_slow.wait(20)
import mine
"""


def test_a_wait_of_the_dead_thread_is_no_deadlock(tmp_path):
    """The forking thread is in the body of `mine`, for which the dead one waited when it held `slow`:
    CPython's detector sees a ring and hands `slow` out half-built, or refuses."""
    files = {
        "gates.py": GATES,
        "blocked.py": BLOCKED,
        "slow.py": "import gates\ngates.in_slow.set()\nassert gates.leave.wait(20)\n"
        "import mine\nlate = 2\n",
        "mine.py": """
            import gates, blocked, threading, os, sys, json, importtrace
            gates.leave.set()
            builder = next(one for one in threading.enumerate() if one.name == "builder")
            blocked.until(builder.ident, "mine")
            pid = os.fork()
            if pid == 0:
                try:
                    from slow import late
                except ImportError as error:
                    cause = importtrace.explain(error)
                    text = json.dumps([str(error), cause and cause.to_dict()])
                    os.write(1, f"{text}\\n".encode())
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            """,
    }
    with Hanging(tmp_path, CROSSED, files) as hanging:
        _, cause = hanging.printed(list)
        hanging.end()
    assert (cause["kind"], cause["module"], cause["name"]) == ("orphaned_lock", "slow", "late")
    assert cause["partial"]["held_by"]["thread"]["name"] == "builder"
    assert "cycle" not in cause


@pytest.mark.parametrize(
    ("statement", "kind"),
    [("from whole import absent", "missing_name"), ("import gone", "not_found"),
     ("import left", "circular"), ("from slow import nothing_like_it", "missing_name")],
)  # fmt: skip
def test_other_failures_of_such_a_child_are_not_blamed_on_the_fork(statement, kind, tmp_path):
    """Twin: the lock has no holder, and the failure has nothing to do with it."""
    files = {
        **FILES,
        "whole.py": "",
        "left.py": "import right\nname = 1\n",
        "right.py": "from left import name\n",
    }
    # the half-built module of the last one is got without the lock: it was imported before the fork
    child = f"""
    import importtrace
    slow_spec = sys.modules["slow"].__spec__
    slow_spec._initializing = False
    try:
        {statement}
    except ImportError as error:
        say(importtrace.explain(error).to_dict())
    """
    with Hanging(tmp_path, program(child), files) as hanging:
        cause = hanging.printed(dict)
        hanging.end()
    assert cause["kind"] == kind


def test_uninstall_takes_the_guards_back(tmp_path):
    """No lock keeps an `acquire` of ours."""
    child = """
    import _frozen_importlib as bootstrap
    lock = bootstrap._module_locks["slow"]()
    before = "acquire" in vars(lock)
    session.uninstall()
    say([before, "acquire" in vars(lock), lock.owner == ident])
    """
    with Hanging(tmp_path, program(child), FILES) as hanging:
        assert hanging.printed(list) == [True, False, True]
        hanging.end()
