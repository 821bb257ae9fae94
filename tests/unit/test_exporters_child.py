"""What the sending child is started with."""

from __future__ import annotations

import os
import sys

import pytest

from importtrace.exporters import interpreter


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
