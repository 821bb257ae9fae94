"""What a spool file tells of a process, however that ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from spool_support import environment, open_chains, places, run, write

from importtrace import spool, tracefile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from importtrace.records import ImportRecord, Trace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files")

KILL = "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n"
CHAIN = {
    "shop/__init__.py": "\nfrom shop import cart\n",
    "shop/cart.py": "import json\n\n\ndef late():\n    import shop.payment\n\n\nlate()\n",
}

ENDS = {
    "SIGKILL": (KILL, -signal.SIGKILL),
    "os._exit": ("import os\nos._exit(7)\n", 7),
    "abort": ("import os\nos.abort()\n", -signal.SIGABRT),
    "segfault in C": ("import ctypes\nctypes.string_at(0)\n", -signal.SIGSEGV),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_dies_in_a_body_leaves_the_chain_that_led_there(
    tmp_path: Path, end: str
) -> None:
    """Module, file and line of every link are there, and what had failed before."""
    body, code = ENDS[end]
    write(tmp_path, {**CHAIN, "shop/payment.py": body})
    done = run(tmp_path, "try:\n    import no_such\nexcept ImportError:\n    pass\nimport shop\n")
    assert (done.code, done.err) == (code, "")
    trace = done.trace
    assert trace.problems == ()
    assert trace.header["end"] == "died"
    (chain,) = open_chains(trace).values()
    assert chain[0].thread.name == "MainThread"
    assert places(chain) == [
        ("shop", "program.py", 6),
        ("shop.cart", "__init__.py", 2),
        ("shop.payment", "cart.py", 5),
    ]
    assert [one.importer.statement for one in chain if one.importer] == [
        "import shop",
        "from shop import cart",
        "import shop.payment",
    ]
    assert all(one.load_ns is not None for one in chain), "each body had begun"
    (failed,) = [record for record in trace.records if record.outcome == "failed"]
    assert (failed.module, failed.error) == (
        "no_such",
        {"type": "ModuleNotFoundError", "message": "No module named 'no_such'"},
    )
    assert failed.cause is not None
    assert failed.cause["kind"] == "not_found"


def test_explain_and_report_take_the_file_of_a_dead_process(tmp_path: Path) -> None:
    """The two commands say where it stood; a folder is named as such."""
    write(tmp_path, {**CHAIN, "shop/payment.py": KILL})
    done = run(tmp_path, "import shop\n")
    for command in ("explain", "report"):
        said = subprocess.run(
            [sys.executable, "-m", "importtrace", command, *done.files],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "it was killed, crashed, or left by os._exit" in said.stdout
        assert "MainThread: in the body of shop.payment" in said.stdout
        assert (
            f"asked for by {tmp_path / 'shop/cart.py'} line 5: import shop.payment" in said.stdout
        )
        assert said.stderr == ""
    refused = subprocess.run(
        [sys.executable, "-m", "importtrace", "explain", str(done.folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "is a directory; name the trace files in it" in refused.stderr


def test_each_thread_is_where_it_was_and_a_wait_names_who_holds_the_module(tmp_path: Path) -> None:
    """One thread in a body, one waiting for it, as the process is killed."""
    write(
        tmp_path,
        {
            "gates.py": "import threading\nentered = threading.Event()\n",
            "slow.py": """\
                import gates, os, signal, sys, time
                gates.entered.set()
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    frame = sys._current_frames().get(gates.waiter)
                    names = set()
                    while frame is not None:
                        names.add(frame.f_code.co_qualname)
                        frame = frame.f_back
                    if "Requests.wait" in names:
                        os.kill(os.getpid(), signal.SIGKILL)
                """,
        },
    )
    done = run(
        tmp_path,
        """\
        import gates, threading
        gates.waiter = threading.get_ident()
        def build():
            import slow
        threading.Thread(target=build, name="builder").start()
        gates.entered.wait(30)
        import slow
        """,
    )
    assert done.code == -signal.SIGKILL, done.err
    chains = open_chains(done.trace)
    assert [record.module for record in chains["builder"]] == ["slow"]
    (wait,) = chains["MainThread"]
    assert (wait.kind, wait.module, wait.outcome) == ("request", "slow", None)
    assert wait.importer is not None
    assert wait.importer.line == 8
    assert wait.held_by is not None
    assert wait.held_by["thread"]["name"] == "builder"
    assert wait.of == chains["builder"][0].id


PROGRAM = """\
import json, sys, threading
try:
    import broken
except Exception:
    pass
try:
    from pkg import missing
except ImportError:
    pass
import pkg.circle
import importlib
importlib.reload(pkg.circle)
importlib.import_module("xml.dom")
def build():
    import slow
thread = threading.Thread(target=build, name="builder")
thread.start()
import gates
gates.entered.wait(30)
gates.leave_soon()
import slow
thread.join()
importtrace.mark_ready("by hand")
importtrace._session_trace = importtrace.trace()
from importtrace import tracefile
tracefile.write(importtrace.trace(), "own.jsonl")
"""
FILES = {
    "broken.py": "import broken_inside\n",
    "broken_inside.py": "x = 1\nraise ValueError('no good')\n",
    "pkg/__init__.py": "from pkg.circle import x\n",
    "pkg/circle.py": "x = 1\nimport pkg.other\n",
    "pkg/other.py": "import pkg.circle\n",
    "gates.py": (
        "import threading\nentered, leave = threading.Event(), threading.Event()\n"
        "def leave_soon():\n    threading.Timer(0.2, leave.set).start()\n"
    ),
    "slow.py": "import gates\ngates.entered.set()\ngates.leave.wait(30)\n",
}


def _told(trace: Trace, record: ImportRecord) -> dict[str, Any]:
    """What a record says, in terms that two traces share."""
    names = {one.id: (one.kind, one.module) for one in trace.records}
    told = record.to_dict()
    for key in ("id", "start_ns"):
        told.pop(key)
    for key in ("parent", "of"):
        told[key] = names.get(told.get(key))
    return {key: bool(value) if key.endswith("_ns") else value for key, value in told.items()}


def test_the_file_holds_what_the_process_itself_would_have_told(tmp_path: Path) -> None:
    """Loads, requests, waits, failures with causes, hand-outs, reload: all as in the trace."""
    write(tmp_path, FILES)
    done = run(tmp_path, PROGRAM)
    assert (done.code, done.err) == (0, "")
    own = tracefile.read(str(tmp_path / "own.jsonl"))
    spooled = done.trace
    # what came after the snapshot is in the file only
    count = len(own.records)
    assert count > 30
    expected = [_told(own, record) for record in own.records]
    found = [_told(spooled, record) for record in spooled.records]
    later = [one["module"] for one in found[count:]]
    assert not [name for name in later if not name.startswith(("importtrace", "os"))], later
    for one, other in zip(expected, found, strict=False):
        assert one == other
    assert {one["outcome"] for one in expected} >= {"ok", "failed", "waited"}
    assert spooled.header["ready_by"] == "by hand"
    assert spooled.header["end"] == "exit"
    for key in ("start", "python", "pid", "parent_pid", "argv0", "mode", "threads", "observed"):
        assert spooled.header[key] == own.header[key], key
    assert "open" not in spooled.header


@pytest.mark.parametrize(
    ("program", "end"),
    [
        ("import json\n", "exit"),
        (
            "import json\nimporttrace.uninstall()\nimport os\nos._exit(0)\n",
            "uninstalled",
        ),
        ("import json\nraise SystemExit(3)\n", "exit"),
    ],
)
def test_a_process_that_ends_well_says_so(tmp_path: Path, program: str, end: str) -> None:
    """The mark is there however the process is left afterwards; the file is kept."""
    done = run(tmp_path, program)
    assert done.trace.header["end"] == end
    assert "json" in {record.module for record in done.trace.records}


def test_an_error_that_nobody_caught_is_told_with_its_cause(tmp_path: Path) -> None:
    """The excepthook's word gets into the file although the process is killed right after it."""
    write(
        tmp_path,
        {"half.py": "import half_two\nname = 1\n", "half_two.py": "from half import name\n"},
    )
    done = run(
        tmp_path,
        """\
        import sys, os
        before = sys.excepthook
        def hook(*about):
            before(*about)
            os.kill(os.getpid(), 9)
        sys.excepthook = hook
        import half
        """,
    )
    assert done.code == -signal.SIGKILL
    first = done.trace.failures[0]
    assert first.cause is not None
    assert (first.module, first.cause["kind"], first.handled) == ("half_two", "circular", False)


def test_a_signal_handler_that_writes_in_the_middle_of_our_writing(tmp_path: Path) -> None:
    """It may run between any two of our instructions; nothing is lost or torn.

    The hooks are called by hand: CPython's own module locks do not always survive an import by a
    handler that interrupts them (3.11: KeyError out of _ModuleLock.acquire).
    """
    done = run(
        tmp_path,
        """\
        import signal, sys, time
        import importtrace.session as session
        from importtrace._recorder import begin_load
        spool, state = session._current._spool, session._current._recorder.state()
        from importlib.machinery import SourceFileLoader
        around = begin_load("p", state, None, time.perf_counter_ns(), "/q.py", 1, "q", None)
        around.origin, around.loader = "/p.py", SourceFileLoader
        around.found = around.body = time.perf_counter_ns()
        spool.began(around)
        spool.entered(around)
        def import_(name):
            now = time.perf_counter_ns()
            # by the body of `p`, as most are, or by a program
            asked = ("/p.py", 1, around.name) if now % 2 else ("/r.py", 1, "r")
            load = begin_load(name, state, around if now % 2 else None, now, *asked, None)
            spool.began(load)
            load.origin, load.loader = "/" + name, SourceFileLoader if now % 4 else type
            load.found = load.body = time.perf_counter_ns()
            spool.entered(load)
            load.end = time.perf_counter_ns()
            spool.kept(load)
        handled = 0
        def handler(number, frame):
            global handled
            import_(f"handled_{handled}")
            handled += 1
            signal.setitimer(signal.ITIMER_REAL, 0.00005)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.00005)
        plain, deadline = 0, time.monotonic() + 30
        while handled < 300 and time.monotonic() < deadline:
            import_(f"plain_{plain}")
            plain += 1
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        print(plain, handled)
        """,
    )
    assert (done.code, done.err) == (0, "")
    trace = done.trace
    assert trace.problems == ()
    assert trace.header["dropped"] == 0
    plain, handled = map(int, done.out.split())
    assert handled >= 300
    loaded = {record.module for record in trace.records if record.outcome == "ok"}
    wanted = {f"plain_{n}" for n in range(plain)} | {f"handled_{n}" for n in range(handled)}
    assert wanted <= loaded


def test_threads_that_import_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight threads, each its own modules, switching as often as the interpreter can."""
    names = {f"t{n}_{k:03}.py": "" for n in range(8) for k in range(30)}
    names |= {f"p{n}/m{k:03}.py": "" for n in range(8) for k in range(30)}
    body = "".join(f"from . import m{k:03}\n" for k in range(30))
    write(tmp_path, names | {f"p{n}/__init__.py": body for n in range(8)})
    done = run(
        tmp_path,
        """\
        import sys, threading
        sys.setswitchinterval(1e-6)
        def work(number):
            for one in range(30):
                __import__(f"t{number}_{one:03}")
            __import__(f"p{number}")
        threads = [threading.Thread(target=work, args=(n,), name=f"w{n}") for n in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    assert (done.code, done.err) == (0, "")
    trace = done.trace
    assert trace.problems == ()
    seen = {(record.module, record.thread.name, record.outcome) for record in trace.records}
    assert {(f"t{n}_{k:03}", f"w{n}", "ok") for n in range(8) for k in range(30)} <= seen
    assert {(f"p{n}.m{k:03}", f"w{n}", "ok") for n in range(8) for k in range(30)} <= seen
    packages = {record.id: record.module for record in trace.records}
    for record in trace.records:
        if record.module[0] == "p" and record.module[1:2].isdigit() and "." in record.module:
            assert packages[record.parent or 0] == record.module.partition(".")[0]


def test_a_forked_child_has_a_file_of_its_own_from_its_first_import_on(tmp_path: Path) -> None:
    """What it had open at the fork is in it; one that imports nothing leaves none."""
    write(
        tmp_path,
        {
            "parent.py": """\
                import os
                for last in (False, True):
                    pid = os.fork()
                    if pid == 0:
                        if last:
                            import child_only
                            os.kill(os.getpid(), 9)
                        os._exit(0)
                    os.waitpid(pid, 0)
                import parent_only
                """,
            "child_only.py": "",
            "parent_only.py": "",
        },
    )
    done = run(tmp_path, "import parent\n")
    assert (done.code, done.err) == (0, "")
    mine, childs = sorted((spool.read(path) for path in done.files), key=lambda one: one.start_ns)
    assert childs.header["parent_pid"] == mine.header["pid"]
    assert childs.header["parent_trace"] == {"pid": mine.header["pid"], "start": mine.start_ns}
    assert (mine.header["end"], childs.header["end"]) == ("exit", "died")
    assert "parent_only" in {record.module for record in mine.records}
    assert [(record.module, record.outcome) for record in childs.records] == [
        ("parent", None),
        ("child_only", "ok"),
    ]
    assert childs.records[1].parent == childs.records[0].id
    assert mine.problems == childs.problems == ()


def test_a_daemon_that_closes_all_descriptors_goes_on(tmp_path: Path) -> None:
    """Closing, and reusing, the numbers of our descriptors harms neither it nor the file."""
    write(tmp_path, {f"much_{number:04}.py": "" for number in range(40)})
    done = run(
        tmp_path,
        f"""\
        import os, sys
        os.closerange(3, 200)
        with open({str(tmp_path / "own.txt")!r}, "w") as own, open("/dev/null") as other:
            own.write("mine")
            for number in range(40):
                __import__(f"much_{{number:04}}")
            own.flush()
            import importtrace.session as session
            file = session._current._spool._file
            while file.segment():  # up to the last one
                pass
            own.write("!")
        """,
        IMPORTTRACE_SPOOL_FILE_MB="4",
    )
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "own.txt").read_text() == "mine!"
    assert os.path.getsize(done.files[0]) == 4 << 20
    assert "much_0039" in {record.module for record in done.trace.records}


def test_a_full_file_counts_what_it_leaves_out_and_keeps_what_explains(tmp_path: Path) -> None:
    """Failures still get in, nothing seems open that is not, and the file stays within its bound."""
    write(tmp_path, {"around.py": "import fill\nimport no_such_at_the_end\n"})
    write(
        tmp_path,
        {
            "fill.py": """\
                import sys
                class Finder:
                    def find_spec(self, name, path=None, target=None):
                        if name.startswith("made_"):
                            from importlib.machinery import ModuleSpec
                            return ModuleSpec(name, self, origin="x" * 400)
                    def create_module(self, spec): return None
                    def exec_module(self, module): pass
                sys.meta_path.append(Finder())
                for number in range(2600):
                    __import__(f"made_{number}")
                """
        },
    )
    done = run(
        tmp_path,
        "try:\n    import around\nexcept ImportError:\n    pass\nimport os\nos._exit(0)\n",
        IMPORTTRACE_SPOOL_FILE_MB="1",
    )
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert "it has reached 1 MiB (IMPORTTRACE_SPOOL_FILE_MB)" in done.err
    assert os.path.getsize(done.files[0]) == 1 << 20
    trace = done.trace
    assert trace.header["dropped"] > 500
    assert {record.module for record in trace.records if record.outcome == "failed"} == {
        "no_such_at_the_end",
        "around",
    }
    assert trace.header["open"] == []
    assert any("the file was full" in problem for problem in trace.problems)


def test_what_is_to_be_kept_back_does_not_reach_the_disk(tmp_path: Path) -> None:
    """Messages, statements and home folders are left out while writing, not only in reading."""
    write(
        tmp_path, {"secretive.py": "raise ValueError('hunter2')\n", "wrap.py": "import secretive\n"}
    )
    done = run(
        tmp_path,
        "try:\n    import wrap\nexcept ValueError:\n    pass\n",
        IMPORTTRACE_REDACT="all",
        HOME=str(tmp_path),
    )
    assert (done.code, done.err) == (0, "")
    with open(done.files[0], "rb") as file:
        data = file.read()
    assert b"hunter2" not in data
    assert str(tmp_path).encode() not in data
    trace = done.trace
    failed = next(record for record in trace.records if record.module == "secretive")
    assert failed.error == {"type": "ValueError"}
    assert failed.importer is not None
    assert failed.importer.file == "~/wrap.py"
    assert failed.importer.statement is None


def test_a_failure_of_ours_closes_the_spool_and_nothing_else(tmp_path: Path) -> None:
    """One line; the program goes on, and so does the trace."""
    done = run(
        tmp_path,
        """\
        import importtrace.session as session
        current = session._current._spool
        current.threads.clear()
        current._thread = None  # calling it is a TypeError of ours
        import json
        import wave
        print(sorted({r.module for r in importtrace.trace().records} & {"json", "wave"}))
        """,
    )
    assert (done.code, done.out) == (0, "['json', 'wave']\n")
    assert done.err == (
        "importtrace: spool closed, tracing goes on without it "
        "(TypeError: 'NoneType' object is not callable)\n"
    )


@pytest.mark.parametrize("hot", [True, False])
def test_what_a_handler_raises_in_our_frames_is_the_programs(tmp_path: Path, hot: bool) -> None:
    """An IndexError of a signal handler is not taken for an empty pool."""
    done = run(
        tmp_path,
        f"""\
        import sys
        if {hot}:
            import wave  # from then on the thread is known
        import importtrace.session as session
        class Pool(list):
            def pop(self):
                raising()
        def raising():
            raise IndexError("the program's")
        current = session._current._spool
        from importtrace import _spool_hooks
        record = next(r for r in session._current._recorder.threads.values())
        from importtrace._recorder import begin_load
        around = None
        if {hot}:
            around = begin_load("around", record, None, 1, "/file.py", 1, "y", None)
            around.origin = "/around.py"
            current.slots, current.slotted = Pool(current.slots), {{around: 1}}
        else:
            current.pool = Pool(current.pool)
        began, entered, kept, attach = _spool_hooks.hooks(current)
        attach(current._memory)
        importer = "y" if around is None else around.name
        load = begin_load("x", record, around, 1, "/around.py", 1, importer, None)
        try:
            began(load)
        except IndexError as error:
            print(error, flush=True)
        import os
        os._exit(0)
        """,
    )
    assert (done.code, done.out, done.err) == (0, "the program's\n", "")


def test_names_that_no_file_system_has(tmp_path: Path) -> None:
    """Lone surrogates, separators, NULs and line breaks in names spoil neither record nor file."""
    names = ["s\udc80rogate", "unit\x1fseparator", "line\nbreak", "ünï"]
    done = run(
        tmp_path,
        f"""\
        for name in {[ascii(name) for name in names]}:
            try:
                __import__(eval(name))
            except Exception:
                pass
        import json
        """,
    )
    assert (done.code, done.err) == (0, "")
    trace = done.trace
    told = {record.module for record in trace.records}
    assert {"s\udc80rogate", "line\nbreak", "ünï", "json"} <= told


def test_an_import_beyond_a_bodys_first_lines_has_its_line(tmp_path: Path) -> None:
    """Far down, where reading a frame's line is dear, the line is resolved all the same."""
    far = "x = 0\n" * 3000
    text = far + "import far_a\n" + far + "import far_b\nimport far_c\nimport far_d\n"
    write(tmp_path, {"long.py": text, **{f"far_{one}.py": "" for one in "abc"}, "far_d.py": KILL})
    done = run(tmp_path, "import long\n")
    lines = {
        record.module: record.importer.line
        for record in done.trace.records
        if record.importer is not None and record.importer.module == "long"
    }
    assert lines == {"far_a": 3001, "far_b": 6002, "far_c": 6003, "far_d": 6004}


@contextlib.contextmanager
def talking(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[..., str]]]:
    """``program.py`` with a spool, and what it says next, after it was told something."""
    child = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment(folder / "spool"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        to, of = child.stdin, child.stdout
        assert to is not None
        assert of is not None

        def said(after: str = "") -> str:
            to.write(after)
            to.flush()
            return of.readline()

        yield child, said


def test_ids_are_the_same_in_every_reading(tmp_path: Path) -> None:
    """Who follows a growing file can tell by them what is new."""
    write(tmp_path, {"one.py": "", "two.py": ""})
    (tmp_path / "program.py").write_text(
        "import importtrace; importtrace.install()\nimport one\nprint('one', flush=True)\ninput()\n"
        "import two\nprint('two', flush=True)\ninput()\n"
    )
    with talking(tmp_path) as (child, said):
        assert said() == "one\n"
        (path,) = spool.files(str(tmp_path / "spool"))
        with spool.Reader(path) as reader:
            first = reader.trace()
            assert first.header["end"] == "running"
            assert said(after="\n") == "two\n"
            second = reader.trace()
            assert [record.id for record in second.records[: len(first.records)]] == [
                record.id for record in first.records
            ]
            assert {r.module for r in second.records} - {r.module for r in first.records} == {"two"}
            child.kill()
            child.wait(60)
            third = reader.trace()
        assert third.header["end"] == "died"
        assert third.records == spool.read(path).records


def test_a_reader_sees_an_import_begin_run_and_end(tmp_path: Path) -> None:
    """One record, the same id, filled in as it goes on, whenever the reader comes."""
    write(
        tmp_path,
        {
            "outer.py": "import inner\n",
            "inner.py": "print('body', flush=True)\ninput()\n",
            "program.py": "import importtrace; importtrace.install()\nimport outer\n"
            "print('over', flush=True)\ninput()\n",
        },
    )
    with talking(tmp_path) as (child, said):
        assert said() == "body\n"
        (path,) = spool.files(str(tmp_path / "spool"))
        with spool.Reader(path) as reader:
            first = {one.module: one for one in reader.trace().records}
            assert said(after="\n") == "over\n"
            second = {one.module: one for one in reader.trace().records}
        child.kill()
    for name in ("outer", "inner"):
        assert first[name].outcome is None
        assert first[name].origin == str(tmp_path / f"{name}.py")
        assert first[name].bytecode in ("hit", "compiled")
        assert second[name].outcome == "ok"
        assert (first[name].id, first[name].start_ns) == (second[name].id, second[name].start_ns)
    assert first["inner"].parent == first["outer"].id
    assert first["outer"].importer is not None
    assert first["outer"].importer.module == "__main__"


def test_what_a_slot_has_no_room_for(tmp_path: Path) -> None:
    """Long names, long paths, other loaders, lines beyond the first: each load is told, with its parent."""
    deep = "d" * 60
    long = "n" * 100
    write(
        tmp_path,
        {
            "top.py": f"import {deep}.{deep}.{deep}.low\nimport {long}\nimport late\n",
            f"{deep}/__init__.py": "",
            f"{deep}/{deep}/__init__.py": "from . import named\n",
            f"{deep}/{deep}/named.py": "def call():\n    import late\n",
            f"{deep}/{deep}/{deep}/__init__.py": "",
            f"{deep}/{deep}/{deep}/low.py": f"import {long}_2\nimport _decimal\n",
            f"{long}.py": "import short\n",
            f"{long}_2.py": f"import {deep}.{deep}.named as named\nnamed.call()\n",
            "short.py": "",
            "late.py": "",
        },
    )
    done = run(tmp_path, "import top\n")
    assert (done.code, done.err) == (0, "")
    trace = done.trace
    assert trace.problems == ()
    named = {one.id: one.module for one in trace.records}
    asked = {
        one.module: (named.get(one.parent or 0), one.importer and one.importer.module, one.outcome)
        for one in trace.records
    }
    two, three = f"{deep}.{deep}", f"{deep}.{deep}.{deep}"
    assert asked["top"] == (None, "__main__", "ok")
    assert asked[f"{three}.low"] == ("top", "top", "ok")
    assert asked[three] == (f"{three}.low", "top", "ok")
    assert asked[f"{two}.named"] == (two, two, "ok")
    assert asked[f"{long}_2"] == (f"{three}.low", f"{three}.low", "ok")
    assert asked["late"] == (f"{long}_2", f"{two}.named", "ok")
    assert asked["short"] == (long, long, "ok")
    assert asked["_decimal"] == (f"{three}.low", f"{three}.low", "ok")
    low = next(one for one in trace.records if one.module == f"{three}.low")
    assert low.origin == str(tmp_path / deep / deep / deep / "low.py")
    assert low.bytecode in ("hit", "compiled")


def test_a_users_file_in_front_of_the_standard_library_is_not_run(tmp_path: Path) -> None:
    """`urllib.py` beside the program; what the head tells is decoded without it."""
    write(tmp_path, {"urllib.py": "print('ran')\n", "one.py": ""})
    done = run(tmp_path, "import one\n", OTEL_RESOURCE_ATTRIBUTES="service.version=1%202")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert done.trace.header["resource"]["service.version"] == "1 2"


def test_the_command_run_takes_the_folder(tmp_path: Path) -> None:
    """`run --spool` makes it absolute: the program may change its directory."""
    (tmp_path / "deeper").mkdir()
    program = "import os\nos.chdir('deeper')\nimport json\nos._exit(0)\n"
    (tmp_path / "app.py").write_text(program)
    subprocess.run(
        [sys.executable, "-m", "importtrace", "run", "--spool", "here", "--log", "off", "app.py"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    (path,) = spool.files(str(tmp_path / "here"))
    assert "json" in {record.module for record in spool.read(path).records}
