"""``deliver``, in fresh interpreters: what it writes, where, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from exporters_support import failed, load, trace

from importtrace import tracefile

PRELUDE = """
import os, sys
from importtrace import exporters, tracefile
from importtrace.config import resolve
trace = tracefile.read(sys.argv[1])
config = resolve({}, os.environ)
"""


@pytest.fixture
def run(tmp_path):
    """Run code that has ``trace`` and ``config``; the environment has only what is given."""

    def run(code, *records, header=None, **environ):
        given = tmp_path / "given.jsonl"
        tracefile.write(trace(*(records or (load(1, "a"),)), **(header or {})), str(given))
        keep = {
            name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ
        }
        return subprocess.run(
            [sys.executable, "-B", "-c", PRELUDE + textwrap.dedent(code), str(given)],
            cwd=tmp_path,
            env=keep | environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def _events(done):
    return [json.loads(line)["event"] for line in done.stderr.splitlines()]


def test_the_file_is_written_with_the_pid_filled_in(run, tmp_path):
    """Each worker of a fleet writes its own; other braces in the path are left alone."""
    done = run(
        "exporters.deliver(trace, config, at_exit=True)",
        IMPORTTRACE_FILE=str(tmp_path / "{x}-{pid}.jsonl"),
        IMPORTTRACE_LOG="off",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [r.module for r in tracefile.read(str(tmp_path / "{x}-4711.jsonl")).records] == ["a"]


def test_an_unwritable_path_is_one_line_and_the_log_still_comes(run, tmp_path):
    """What, which, why, what next; and the program's outcome is its own."""
    done = run(
        "exporters.deliver(trace, config, at_exit=True); sys.exit(5)",
        IMPORTTRACE_FILE=str(tmp_path / "missing" / "t.jsonl"),
    )
    assert (done.returncode, done.stdout) == (5, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("importtrace: cannot write the trace to '")
    assert "No such file or directory" in first
    assert json.loads(second)["event"] == "import.startup"


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files with setrlimit")
def test_a_full_disk_is_one_line_and_keeps_what_stood_there(run, tmp_path):
    """The new file is written whole or not at all."""
    target = tmp_path / "t.jsonl"
    target.write_text("earlier\n")
    done = run(
        """
        import resource, signal
        sys.dont_write_bytecode = True  # a truncated .pyc would outlive this test
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
        exporters.deliver(trace, config, at_exit=True)
        """,
        IMPORTTRACE_FILE=str(target),
        IMPORTTRACE_LOG="off",
    )
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "cannot write the trace" in done.stderr
    assert target.read_text() == "earlier\n"
    assert sorted(os.listdir(tmp_path)) == ["given.jsonl", "t.jsonl"]


def test_nothing_is_told_twice(run, tmp_path):
    """At exit only what is new is logged; the file holds everything."""
    done = run(
        """
        from importtrace.records import Trace
        start_up = Trace(trace.header, trace.records[:2])
        exporters.deliver(start_up, config, at_exit=False)
        exporters.deliver(trace, config, at_exit=True)
        """,
        failed(1, "early"),
        load(2, "b"),
        failed(9, "lazy"),
        IMPORTTRACE_FILE=str(tmp_path / "t.jsonl"),
    )
    assert _events(done) == ["import.failed", "import.startup", "import.failed"]
    assert len(tracefile.read(str(tmp_path / "t.jsonl")).records) == 3


def test_a_forked_process_reports_its_own(run):
    """A worker's start-up is not the master's, although it inherits what the master reported."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    done = run(
        """
        exporters.deliver(trace, config, at_exit=False)
        child = os.fork()
        exporters.deliver(trace, config, at_exit=True)
        if child:
            os.waitpid(child, 0)
        """
    )
    assert _events(done) == ["import.startup", "import.startup"]


def test_redaction_comes_before_everything(run, tmp_path):
    """Neither file nor log shows what was to stay."""
    done = run(
        "exporters.deliver(trace, config, at_exit=True)",
        failed(1, "a"),
        IMPORTTRACE_FILE=str(tmp_path / "t.jsonl"),
        IMPORTTRACE_REDACT="all",
    )
    for text in (done.stderr, (tmp_path / "t.jsonl").read_text()):
        assert "/home/ada" not in text
        assert "import a" not in text
        assert "cannot import name" not in text
        assert "circular" in text


def test_off_is_silent(run):
    """Nothing is written where nothing was asked for."""
    done = run("exporters.deliver(trace, config, at_exit=True)", IMPORTTRACE_LOG="off")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_broken_stderr_changes_nothing(run):
    """A daemon may have closed it."""
    done = run("sys.stderr.close(); exporters.deliver(trace, config, at_exit=True); print('end')")
    assert (done.returncode, done.stdout) == (0, "end\n")


def test_an_error_of_ours_is_one_line(run):
    """Whatever goes wrong inside, the caller never sees an exception."""
    done = run(
        """
        from importtrace.exporters import file
        def broken(self, trace): raise MemoryError("no\\nroom")
        file.FileExporter.export = broken
        exporters.deliver(trace, config, at_exit=True)
        """,
        IMPORTTRACE_FILE="t.jsonl",
        IMPORTTRACE_LOG="off",
    )
    assert done.returncode == 0
    assert done.stderr == "importtrace: trace file not delivered: MemoryError: no room\n"


APPLICATION = """
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(
    BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n"))
)
otel.set_tracer_provider(provider)
"""
# A port that nothing listens on: a child process that sent there would say so.
NOWHERE = "http://127.0.0.1:9/"


def test_the_application_s_provider_is_used_in_its_process(run):
    """It set one, so spans go through it and no process is started, whatever OTEL_* says."""
    done = run(
        APPLICATION
        + "exporters.deliver(trace, config, at_exit=False)\n"
        + "assert 'importtrace.exporters.child' not in sys.modules\n"
        + "exporters.deliver(trace, config, at_exit=True)\n",
        IMPORTTRACE_LOG="off",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["import a", "python.startup"]


def test_spans_off_leaves_the_application_s_provider_alone(run):
    """off means off."""
    done = run(
        APPLICATION + "exporters.deliver(trace, config, at_exit=False)",
        IMPORTTRACE_LOG="off",
        IMPORTTRACE_SPANS="off",
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_at_exit_a_provider_that_is_shut_down_is_said_to_be(run):
    """atexit runs the SDK's shutdown first; the spans would vanish without a word."""
    code = (
        "import atexit; "
        "atexit.register(exporters.deliver, trace, config, at_exit=True)\n" + APPLICATION
    )
    done = run(code, IMPORTTRACE_LOG="off")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(done.stderr.splitlines()) == 1
    assert "is shut down; call importtrace.mark_ready()" in done.stderr


def test_a_provider_that_never_shuts_itself_down_is_used(run):
    """Without an exit handler of the SDK's nothing tells it from one that is shut down, but the
    program still runs."""
    code = APPLICATION.replace("TracerProvider()", "TracerProvider(shutdown_on_exit=False)", 1)
    done = run(code + "exporters.deliver(trace, config, at_exit=False)", IMPORTTRACE_LOG="off")
    assert (done.stdout.splitlines(), done.stderr) == (["import a", "python.startup"], "")


def test_a_program_that_ends_while_its_start_up_is_delivered(run):
    """Delivering goes on in its thread after the SDK's exit handler: said, not lost silently."""
    code = (
        "import atexit, _thread\n"
        "done = _thread.allocate_lock(); done.acquire()\n"
        "shut = _thread.allocate_lock(); shut.acquire()\n"
        "atexit.register(done.acquire, True, 30)\n"
        "atexit.register(shut.release)\n" + APPLICATION + "def late():\n"
        "    shut.acquire()\n"
        "    exporters.deliver(trace, config, at_exit=False)\n"
        "    done.release()\n"
        "_thread.start_new_thread(late, ())\n"
    )
    done = run(code, IMPORTTRACE_LOG="off")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(done.stderr.splitlines()) == 1
    assert "call importtrace.mark_ready()" in done.stderr


def test_at_exit_a_provider_that_still_runs_is_used(run):
    """Where our exit handler comes first, the application's provider still takes spans."""
    code = APPLICATION + (
        "import atexit; atexit.register(exporters.deliver, trace, config, at_exit=True)"
    )
    done = run(code, IMPORTTRACE_LOG="off")
    assert (done.stdout.splitlines(), done.stderr) == (["import a", "python.startup"], "")


def test_nothing_is_imported_into_a_program_that_asked_for_nothing(run):
    """No spans wanted: neither the SDK nor what starts processes is loaded."""
    done = run(
        """
        before = set(sys.modules)
        exporters.deliver(trace, config, at_exit=False)
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(sorted(new & {"opentelemetry", "structlog", "subprocess", "threading", "logging"}))
        """
    )
    assert done.stdout == "[]\n"


def test_importing_the_package_is_cheap():
    """It stands on the path of every traced program: nothing is loaded that Python has not."""
    code = (
        "import sys; before = set(sys.modules); import importtrace.records, importtrace.exporters; "
        "print([n for n in set(sys.modules) - before if n.startswith('importtrace.exporters.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_importing_the_package_loads_nothing_of_the_standard_library():
    """As the first thing that a program does."""
    code = (
        "import sys; before = set(sys.modules); import importtrace.exporters; "
        "new = set(sys.modules) - before - {'__future__'}; "
        "print([n for n in new if n.partition('.')[0] != 'importtrace'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
