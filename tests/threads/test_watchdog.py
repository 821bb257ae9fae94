"""Imports that hang are reported while they hang: who stands where, who waits for whom."""

from __future__ import annotations

import _frozen_importlib
import importlib.util
import signal
import time

import pytest
from capture_support import PROBED, line_of, run
from hanging import GO, Hanging, by_name
from test_parentage import BLOCKED

from importtrace import tracefile

GATES = "import threading\nfirst, second, third = [threading.Event() for _ in range(3)]\n"
MODES = ("auto", "finder")


@pytest.mark.parametrize("mode", MODES)
def test_a_body_that_blocks_is_told_of_once_and_again_when_it_ends(mode, tmp_path):
    """Module, thread, chain with file and line, where it stands; then that it went on, and how long."""
    files = {
        "app.py": "import before\nimport client\n",
        "before.py": "",
        "client.py": f"import socket\n{GO}\nlate = 1\n",
    }
    with Hanging(tmp_path, "import app\nimport after\n", {**files, "after.py": ""}) as program:
        event = program.event("import.stalled")
        assert event["level"] == "warning"
        assert event["pid"] == program.process.pid
        assert (event["module_name"], event["thread_name"]) == ("client", "MainThread")
        assert (event["file"], event["line"]) == (str(tmp_path / "client.py"), 2)
        assert event["statement"] == GO
        assert event["stalled_ms"] >= 300
        (thread,) = event["threads"]
        assert thread["alive"] is True
        links = [(link["module"], link["line"], link["statement"]) for link in thread["chain"]]
        expected = [("__main__", 2, "import app"), ("app", 2, "import client"), ("client", 2, GO)]
        assert links == expected
        assert "cause" not in event
        program.go()
        ended = program.event("import.stall_ended")
        assert ended["module_name"] == "client"
        assert ended["import_outcome"] == "ok"
        assert ended["stalled_ms"] >= event["stalled_ms"]
        program.end()
        assert len(program.events("import.stalled")) == 1
        (stall,) = program.header()["stalls"]
    assert stall["module"] == "client"
    assert stall["outcome"] == "ok"
    assert stall["summary"] == event["summary"]
    assert stall["since_ns"] < stall["reported_ns"] < stall["ended_ns"]


def test_the_trace_file_is_there_while_it_hangs(tmp_path):
    """Such a process is killed: what was recorded by then lies in its file, with the stall."""
    files = {"client.py": f"{GO}\n", "before.py": ""}
    with Hanging(tmp_path, "import before, client\n", files) as program:
        program.event("import.stalled")
        header = program.wait_for_header(program.process.pid)
        assert header["end"] == "snapshot"
        assert [stall["module"] for stall in header["stalls"]] == ["client"]


def test_a_body_that_joins_a_thread_which_imports_its_package(tmp_path):
    """The ring goes over a join, which CPython's detector cannot see; both threads are in it."""
    files = {
        "pkg/__init__.py": "import threading\n"
        "def work():\n    import pkg.part\n    from pkg import late\n"
        "worker = threading.Thread(target=work, name='worker', daemon=True)\n"
        "worker.start()\nworker.join()\nlate = 1\n",
        "pkg/part.py": "",
    }
    with Hanging(tmp_path, "import pkg\n", files) as program:
        event = program.event("import.stalled")
    threads = by_name(event)
    assert set(threads) == {"MainThread", "worker"}
    assert "2 threads wait for one another" in event["summary"]
    waits = threads["worker"]["waits_for"]
    assert (waits["lock"], waits["module"]) == ("module", "pkg")
    assert waits["held_by"] == threads["MainThread"]["thread"]
    assert waits["holder_alive"] is True
    assert threads["MainThread"]["waits_for"] == {
        "lock": "thread",
        "held_by": threads["worker"]["thread"],
        "holder_alive": True,
    }
    standing = threads["MainThread"]["chain"][-1]
    assert (standing["module"], standing["statement"]) == ("pkg", "worker.join()")
    assert standing["line"] == line_of(tmp_path / "pkg/__init__.py", "worker.join()")
    assert "do not wait for a thread in a module's body" in event["hint"]


@pytest.mark.parametrize("mode", PROBED)
def test_an_inversion_with_a_lock_of_the_application(mode, tmp_path):
    """One holds the lock and wants the module, the other builds the module and wants the lock."""
    program = """
    import threading, gates, blocked
    def user():
        with gates.lock:
            gates.second.set()
            assert gates.first.wait(20)
            import settings
    threading.Thread(target=user, name="user", daemon=True).start()
    assert gates.second.wait(20)
    import settings
    """
    files = {
        "gates.py": GATES + "lock = threading.Lock()\n",
        "blocked.py": BLOCKED,
        "settings.py": "import gates\ngates.first.set()\nwith gates.lock:\n    late = 1\n",
    }
    with Hanging(tmp_path, program, files, mode=mode) as hanging:
        event = hanging.event("import.stalled")
        # one story, told once: the other's wait is part of it
        hanging.process.send_signal(0)
        assert len(hanging.events("import.stalled")) == 1
    assert event["module_name"] == "settings"
    threads = by_name(event)
    main, user = threads["MainThread"], threads["user"]
    assert main["chain"][-1]["statement"] == "with gates.lock:"
    assert main["chain"][-1]["line"] == 3
    assert "waits_for" not in main  # whose lock that is cannot be seen, and is not guessed
    assert user["waits_for"]["held_by"] == main["thread"]
    assert user["chain"][-1]["statement"] == "import settings"
    assert "with gates.lock:" in event["summary"]
    assert "thread user waits for module settings" in event["summary"]


def test_a_holder_that_has_ended(tmp_path):
    """A lock that was never given back: the waiter's report says that its holder is gone."""
    program = """
    import threading, _frozen_importlib, weakref
    locks = []
    def take():
        lock = _frozen_importlib._get_module_lock("orphan")
        lock.acquire()
        locks.append(lock)
    thread = threading.Thread(target=take, name="taker")
    thread.start(); thread.join()
    keep = threading.Thread(target=__import__, args=("orphan",), name="waiter", daemon=True)
    # a new thread may be given the dead one's ident, and the lock with it: the main thread waits
    import orphan
    """
    with Hanging(tmp_path, program, {"orphan.py": ""}) as hanging:
        event = hanging.event("import.stalled")
    waiter = by_name(event)["MainThread"]
    assert waiter["waits_for"]["lock"] == "module"
    assert waiter["waits_for"]["module"] == "orphan"
    assert waiter["waits_for"]["holder_alive"] is False
    assert "which has ended" in event["summary"]
    assert "nobody is left" in event["hint"]


def test_a_finder_that_holds_the_import_lock(tmp_path):
    """`find_spec` waits for an import of another thread, which needs the lock that it holds."""
    program = """
    import sys, threading, gates
    class Remote:
        def find_spec(self, name, path=None, target=None):
            if name == "plugin":
                gates.first.set()
                gates.answered.wait()
            return None
    sys.meta_path.insert(0, Remote())
    def other():
        assert gates.first.wait(20)
        import unrelated
        gates.answered.set()
    threading.Thread(target=other, name="other", daemon=True).start()
    import plugin
    """
    files = {"gates.py": GATES + "answered = threading.Event()\n", "unrelated.py": ""}
    with Hanging(tmp_path, program, files) as hanging:
        event = hanging.event("import.stalled")
    assert event["module_name"] == "plugin"
    threads = by_name(event)
    assert threads["MainThread"]["finder"] == "__main__.Remote"
    assert threads["MainThread"]["finding"] == "plugin"
    assert threads["other"]["waits_for"]["lock"] == "import"
    assert threads["other"]["waits_for"]["held_by"] == threads["MainThread"]["thread"]
    assert "finder __main__.Remote" in event["summary"]
    assert "holds the import lock" in event["summary"]
    assert "thread other waits for the global import lock" in event["summary"]
    assert "__main__.Remote" in event["hint"]


def test_a_finder_asked_by_hand_holds_the_import_lock(tmp_path):
    """No load is under way: `importlib.util.find_spec` blocks, and all others with it."""
    program = """
    import sys, threading, importlib.util
    class Remote:
        def find_spec(self, name, path=None, target=None):
            if name == "plugin":
                sys.stdin.readline()
            return None
    sys.meta_path.insert(0, Remote())
    importlib.util.find_spec("plugin")
    print("over")
    """
    with Hanging(tmp_path, program, {}) as hanging:
        event = hanging.event("import.stalled")
        assert "the global import lock has been held" in event["summary"]
        assert "finder __main__.Remote" in event["summary"]
        hanging.go()
        hanging.event("import.stall_ended")
        assert hanging.end() == "over\n"


@pytest.mark.skipif(
    "lock" not in importlib.util._LazyModule.__getattribute__.__code__.co_consts,
    reason="this release's LazyLoader has no lock",
)
def test_the_lock_of_a_lazy_module_against_a_module_lock(tmp_path):
    """One loads the lazy module, whose body imports `settings`; the other builds `settings`, and
    touches the lazy module."""
    program = """
    import sys, threading, importlib.util, gates
    spec = importlib.util.find_spec("lazy")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    lazy = gates.lazy = importlib.util.module_from_spec(spec)
    sys.modules["lazy"] = lazy
    loader.exec_module(lazy)
    def build():
        import settings
    threading.Thread(target=build, name="builder", daemon=True).start()
    assert gates.first.wait(20)
    lazy.value
    """
    files = {
        "gates.py": GATES,
        "lazy.py": "import gates\ngates.second.set()\nimport settings\nvalue = 1\n",
        "settings.py": "import gates\ngates.first.set()\nassert gates.second.wait(20)\n"
        "value = gates.lazy.value\n",
    }
    with Hanging(tmp_path, program, files) as hanging:
        event = hanging.event("import.stalled")
    threads = by_name(event)
    main, builder = threads["MainThread"], threads["builder"]
    assert main["waits_for"]["module"] == "settings"
    assert main["waits_for"]["held_by"] == builder["thread"]
    assert builder["waits_for"]["lock"] == "lazy"
    assert builder["waits_for"]["module"] == "lazy"
    assert builder["waits_for"]["held_by"] == main["thread"]
    assert "2 threads wait for one another" in event["summary"]


def test_many_waiters_are_one_report(tmp_path):
    """Twenty threads want what one builds: one event, and all twenty are in it."""
    program = """
    import threading, gates
    for number in range(20):
        threading.Thread(target=__import__, args=("slow",), name=f"w{number}").start()
    """
    files = {"gates.py": GATES, "slow.py": f"{GO}\n"}
    with Hanging(tmp_path, program, files) as hanging:
        event = hanging.event("import.stalled")
        hanging.go()
        hanging.end()
        assert len(hanging.events("import.stalled")) == 1
        assert len(hanging.events("import.stall_ended")) == 1
    assert len([one for one in event["threads"] if "waits_for" in one]) == 19
    assert "and 16 more threads" in event["summary"]


def test_an_import_that_makes_progress_is_not_reported(tmp_path):
    """A package of a hundred modules takes far longer than the stall time, and never stands still."""
    files = {
        "big.py": "import time, importlib\nfor n in range(40):\n    importlib.import_module(f'm{n}')\n"
    }
    files |= {f"m{number}.py": "import time\ntime.sleep(0.05)\n" for number in range(40)}
    result = run(tmp_path, "import big\n", files=files, log="info", stall_seconds=1)
    assert "import.stalled" not in result.ok().err
    assert "stalls" not in result.header


def test_a_server_that_runs_in_a_body_is_not_reported_once_it_is_ready(tmp_path):
    """`import run` never returns, and should not; what it loads later and hangs in is still seen."""
    files = {
        "server.py": "import importtrace, sys\nimporttrace.mark_ready()\n"
        "for line in sys.stdin:\n    if line.strip() == 'x': import plugin\n    print(1)\n",
        "plugin.py": GO,
    }
    with Hanging(tmp_path, "import server\n", files) as hanging:
        hanging.event("import.startup")
        stdin = hanging.process.stdin
        assert stdin is not None
        time.sleep(1.0)  # three times the stall time, in which nothing is to be said
        hanging.go()
        assert hanging.printed(int) == 1
        stdin.write("x\n")
        stdin.flush()
        event = hanging.event("import.stalled")
        assert len(hanging.events("import.stalled")) == 1
    assert event["module_name"] == "plugin"


@pytest.mark.parametrize("settings", [{"log": "off"}, {"stall_seconds": 0}])
def test_turned_off(settings, tmp_path):
    """Nothing is said; with no stall time there is no thread either."""
    files = {"client.py": "import time\ntime.sleep(1)\n"}
    program = """
    import _thread, client
    print(_thread._count())
    """
    result = run(
        tmp_path, program, files=files, **{"stall_seconds": 0.2, "log": "info", **settings}
    )
    assert "stall" not in result.ok().err
    assert result.out == ("0\n" if settings.get("stall_seconds") == 0 else "1\n")


def test_statements_and_home_folders_stay_in_the_process(tmp_path):
    """`redact` holds for a report as for everything else that leaves the process."""
    files = {"client.py": GO}
    env = {"HOME": str(tmp_path)}
    with Hanging(tmp_path, "import client\n", files, env=env, redact="home,statements") as hanging:
        event = hanging.event("import.stalled")
        assert event["file"] == "~/client.py"
        assert "stdin" not in hanging.said
        assert str(tmp_path) not in hanging.said
        hanging.go()
        hanging.end()
        assert "stdin" not in str(hanging.header())
        assert str(tmp_path) not in str(hanging.header()["stalls"])


def test_it_goes_to_the_application_s_structlog(tmp_path):
    """Where it is loaded and configured: the same event, through its processors."""
    pytest.importorskip("structlog")
    program = """
    import structlog, sys
    def note(logger, method, event):
        return {"event": event["event"], "mine": 1, "level": method, **event}
    structlog.configure(
        processors=[note, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    import client
    """
    with Hanging(tmp_path, program, {"client.py": GO}) as hanging:
        event = hanging.event("import.stalled")
        assert event["mine"] == 1
        assert event["level"] == "warning"
        assert event["module_name"] == "client"


def test_names_are_those_of_importlib() -> None:
    """What the report recognises frames by is there on this interpreter."""
    assert _frozen_importlib._get_module_lock.__code__.co_qualname == "_get_module_lock"
    context = _frozen_importlib._ImportLockContext.__enter__.__code__
    assert context.co_qualname == "_ImportLockContext.__enter__"
    assert "finder" in _frozen_importlib._find_spec.__code__.co_varnames


def test_the_spool_has_it_while_it_hangs(tmp_path):
    """Killed by SIGKILL in the middle of it: the spool file says what hung, and where."""
    spool = tmp_path / "spool"
    with Hanging(tmp_path, "import client\n", {"client.py": GO}, spool=str(spool)) as hanging:
        event = hanging.event("import.stalled")
        deadline = time.monotonic() + 20
        header: dict[str, object] = {}
        while "stalls" not in header and time.monotonic() < deadline:
            (path,) = (one for one in spool.iterdir() if one.is_file() and one.suffix != ".lock")
            header = tracefile.read(path).header
    (stall,) = header["stalls"]
    assert (stall["module"], stall["summary"]) == ("client", event["summary"])
    assert stall["threads"][0]["chain"][-1]["statement"] == GO


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_a_blocked_signal_is_not_delivered_to_our_thread(tmp_path):
    """`sigwait` gets what was sent to the process; on a thread of ours it would end the process."""
    program = """
    import os, signal, threading
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    print(signal.sigwait([signal.SIGUSR1]) == signal.SIGUSR1, len(threading.enumerate()))
    """
    for turn in range(3):
        result = run(tmp_path / str(turn), program, stall_seconds=5)
        assert result.ok().out == "True 1\n"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_the_delivering_thread_has_blocked_all_signals(tmp_path):
    """Else a signal that the program waits for with `sigwait` ends the process while it delivers."""
    program = """
    import _signal, signal
    before, masks = _signal.pthread_sigmask(signal.SIG_BLOCK, ()), []
    session._deliver = lambda *_, **__: masks.append(_signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    session.mark_ready()
    session._join_delivery()
    print(masks == [_signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}], end=" ")
    print(_signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before)
    """
    assert run(tmp_path, program).ok().out.split() == ["True", "True"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_our_thread_has_blocked_all_signals_before_it_runs(tmp_path):
    """It is started with all blocked: a signal may come before it has run at all. The program's own
    mask is as it was, also where a handler raises in the middle."""
    program = """
    import _signal, signal
    import importtrace, importtrace._watchdog as watchdog
    native, masks = watchdog.native, []
    def watched(name):
        found = native(name)
        def start(*arguments):
            masks.append(_signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            if len(masks) == 2:
                raise KeyError("a signal handler's")
            return found(*arguments)
        return start if name == "start_new_thread" else found
    watchdog.native = watched
    before = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for turn in range(3):
        session = importtrace.install(log="off", spans="off")
        try:
            __import__("loaded_" + str(turn))
        except KeyError:
            print("raised", end=" ")
        session.uninstall()
    every = _signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    print(masks == [every] * 3, end=" ")
    print(_signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before)
    """
    files = {f"loaded_{turn}.py": "" for turn in range(3)}
    result = run(tmp_path, program, mode=None, files=files).ok()
    assert result.out == "raised True True\n"


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(0)", "import os; os._exit(0)",
                                 "session.uninstall()"])  # fmt: skip
def test_the_process_ends_at_once(end, tmp_path):
    """Nobody waits for a thread that sleeps for 2.5 seconds at a time."""
    begin = time.monotonic()
    empty = run(tmp_path / "plain", "pass", mode=None).ok()
    plain = time.monotonic() - begin
    begin = time.monotonic()
    traced = run(tmp_path / "traced", end, stall_seconds=600).ok()
    assert time.monotonic() - begin < plain + 2
    assert (traced.err, traced.out) == (empty.err, empty.out)


def test_a_report_that_fails_is_one_line(tmp_path):
    """Fail open: the program goes on, and the next hang is reported all the same."""
    program = """
    from importtrace import _alarms
    alarms = _alarms.Alarms
    def broken(*arguments):
        _alarms.Alarms = alarms
        raise OSError("no file descriptor left")
    _alarms.Alarms = broken
    import client
    import client2
    """
    with Hanging(tmp_path, program, {"client.py": GO, "client2.py": GO}) as hanging:
        while "no file descriptor left" not in hanging.said:
            hanging.more()
        hanging.go()
        event = hanging.event("import.stalled")
        hanging.go()
        hanging.end()
    assert event["module_name"] == "client2"
    assert "['client']" in hanging.said
    assert "Traceback" not in hanging.said
