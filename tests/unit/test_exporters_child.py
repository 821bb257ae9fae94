"""What the sending child is started with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from importtrace.exporters import child, interpreter


def test_nothing_of_ours_or_of_python_s_settings_is_inherited(monkeypatch):
    """It must not be traced, injected into, nor made to warn; what OpenTelemetry reads stays."""
    for name, value in {
        "IMPORTTRACE": "1",
        "IMPORTTRACE_FILE": "/t.jsonl",
        "PYTHONPATH": "/inject",
        "PYTHONSTARTUP": "/s.py",
        "PYTHONWARNINGS": "error",
        "PYTHONHOME": "/py",
        "OTEL_SERVICE_NAME": "shop",
        "TRACEPARENT": "00-1-2-01",
    }.items():
        monkeypatch.setenv(name, value)
    passed = interpreter.environment(os.environ)
    assert not any(name.startswith("IMPORTTRACE") for name in passed)
    assert {name for name in passed if name.startswith("PYTHON")} == {"PYTHONHOME"}
    assert passed["OTEL_SERVICE_NAME"] == "shop"
    assert passed["TRACEPARENT"] == "00-1-2-01"


def test_the_interpreter_is_this_one():
    """With its environment, in which the program's packages are."""
    assert interpreter.find() == sys.executable


@pytest.mark.skipif(os.name != "posix", reason="the layout of a POSIX installation")
def test_a_server_that_embeds_python_is_not_started_again(monkeypatch, tmp_path):
    """uWSGI puts itself into sys.executable; the interpreter beside it is meant, if there is one."""
    server, python = tmp_path / "bin" / "uwsgi", tmp_path / "bin" / "python3"
    server.parent.mkdir()
    server.touch()
    monkeypatch.setattr(sys, "executable", str(server))
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    assert interpreter.find() is None
    python.touch()
    assert interpreter.find() == str(python)


def test_a_frozen_program_is_not_started_again(monkeypatch):
    """sys.executable is the program itself there."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert interpreter.find() is None


def test_relative_entries_of_the_path_are_not_passed_on(monkeypatch):
    """They would mean another folder, or none, in the child."""
    monkeypatch.setattr(sys, "path", ["", "lib", os.path.abspath(os.sep + "opt")])
    assert interpreter.search_path()[:-1] == [os.path.abspath(os.sep + "opt")]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_the_thread_that_minds_the_child_takes_no_signal_from_the_program(monkeypatch):
    """One that its threads block, to wait for it, would be delivered there and end the process."""
    masks = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(
        child.ChildExporter,
        "_run",
        lambda self: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    )
    exporter = child.ChildExporter(max_spans=1, long_wait_ms=1, timeout_s=1)
    exporter.resume()
    exporter.pause()
    assert masks == [signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_the_child_can_be_ended_though_the_program_blocks_signals():
    """A mask is inherited; who stops the container means the child, too."""
    code = """
    import os, signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    from importtrace.exporters import sender
    sender._receive = lambda stream: os.kill(os.getpid(), signal.SIGTERM)
    sender.main()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM
