"""Django's runserver and werkzeug's server under Flask, with and without their reloaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import ready_programs as programs
from projects import servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

FLASK = """
import flask
import warmed

app = flask.Flask(__name__)

@app.get("/")
def pid():
    import asked
    return {"pid": asked.PID}

if __name__ == "__main__":
    import sys
    app.run(port=int(sys.argv[1]))
"""


def flask(*arguments: str) -> list[str]:
    python = programs.python_with("flask", "flask>=3")
    return [str(python), *arguments]


@pytest.mark.parametrize("reload", [False, True], ids=["plain", "reload"])
def test_flask_run_is_ready_when_it_serves(reload: bool, tmp_path: Path) -> None:
    """With the reloader the process that serves is ready, and the one that watches is not."""
    application = programs.write(tmp_path / "app", app=FLASK)
    traces = tmp_path / "traces"
    env = programs.environment(traces, application)
    command = flask("-m", "flask", "run", "--port", "{port}", *(["--reload"] if reload else []))
    with servers.serving(command, env, tmp_path) as server:
        served_by = server.get("/")["pid"]
        (trace,) = server.wait_for_traces(traces, 1)
        server.stop()
        log = server.log
    assert trace.header["ready_by"] == "werkzeug"
    assert trace.header["pid"] == served_by
    assert (served_by == server.process.pid) is not reload
    assert {"flask", "warmed"} <= programs.before_ready(trace)
    assert "importtrace:" not in log


def test_app_run_is_ready_when_it_serves(tmp_path: Path) -> None:
    """The same server, started by the program itself."""
    application = programs.write(tmp_path / "app", app=FLASK)
    traces = tmp_path / "traces"
    env = programs.environment(traces, application)
    with servers.serving(flask(str(application / "app.py"), "{port}"), env, tmp_path) as server:
        server.get("/")
        (trace,) = server.wait_for_traces(traces, 1)
        server.stop()
    assert trace.header["ready_by"] == "werkzeug"


def test_a_port_in_use_is_not_a_ready_server(tmp_path: Path) -> None:
    """The server that cannot listen ends as without us, and its trace has no ready mark."""
    application = programs.write(tmp_path / "app", app=FLASK)
    traces = tmp_path / "traces"
    other = programs.environment(None, application)
    with servers.serving(flask("-m", "flask", "run", "--port", "{port}"), other, tmp_path) as first:
        first.get("/")
        ends = []
        for folder in (None, traces):
            env = programs.environment(folder, application)
            command = flask("-m", "flask", "run", "--port", str(first.port))
            second = tmp_path / f"second-{len(ends)}"
            second.mkdir()
            with servers.serving(command, env, second) as server:
                ends.append((server.process.wait(servers.START_S), server.log))
    assert ends[0] == ends[1]
    assert ends[0][0] != 0
    (path,) = traces.iterdir()
    assert "ready_by" not in servers.Trace(path).header


@pytest.mark.parametrize("reload", [False, True], ids=["noreload", "reload"])
def test_runserver_is_ready_when_it_is_bound(reload: bool, tmp_path: Path) -> None:
    """After the checks; with the reloader the child that serves is ready, and its parent is not."""
    traces = tmp_path / "traces"
    traces.mkdir()
    env = servers.environment(
        traces, "notes", IMPORTTRACE_LOG="off", DJANGO_SETTINGS_MODULE="notes.settings"
    )
    django = [str(servers.environment_python()), "-m", "django", "runserver", "127.0.0.1:{port}"]
    options = [] if reload else ["--noreload"]
    with servers.serving([*django, *options], env, tmp_path) as server:
        (note,) = server.get("/notes/")
        (trace,) = server.wait_for_traces(traces, 1)
        log = server.log
    assert trace.header["ready_by"] == "django"
    assert trace.header["pid"] == int(note["text"].rpartition(" ")[2])
    assert (trace.header["pid"] == server.process.pid) is not reload
    assert {"django.core.management.commands.runserver", "api.models"} <= programs.before_ready(
        trace
    )
    assert "importtrace:" not in log
