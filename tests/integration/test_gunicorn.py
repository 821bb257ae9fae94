"""Django and Django REST framework under gunicorn, injected by the environment alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from projects import servers
from receivers import START_S, Agent, agent, running_agent

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["agent", "running_agent"]  # fixtures
pytestmark = pytest.mark.integration

WORKERS = 4


def command(*options: str) -> list[str]:
    gunicorn = str(servers.environment_python().parent / "gunicorn")
    return [
        gunicorn,
        *("--bind", "127.0.0.1:{port}", "--workers", str(WORKERS)),
        *("--worker-class", "gthread", "--threads", "2", "--no-control-socket"),
        *options,
        "notes.wsgi",
    ]


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["plain", "preload"])
def test_each_worker_has_a_trace_of_its_own(options: tuple[str, ...], tmp_path: Path) -> None:
    """One file a process, ready by gunicorn when the worker has booted; requests are answered."""
    traces = tmp_path / "traces"
    traces.mkdir()
    env = servers.environment(traces, "notes", IMPORTTRACE_LOG="off")
    with servers.serving(command(*options), env, tmp_path) as server:
        (note,) = server.get("/notes/")
        ready = server.wait_for_traces(traces, WORKERS)
        assert server.stop() == 0
        log = server.log
    assert len(ready) == WORKERS
    assert {trace.header["ready_by"] for trace in ready} == {"gunicorn"}
    pids = {trace.header["pid"] for trace in ready}
    assert int(note["text"].rpartition(" ")[2]) in pids
    # "Booting worker with pid: 4711" is gunicorn's own word for who the workers are
    assert {int(line.split()[-1]) for line in log.splitlines() if "Booting worker" in line} == pids
    assert {trace.header["parent_pid"] for trace in ready} == {server.process.pid}
    master = servers.Trace(traces / f"{server.process.pid}.jsonl")
    preloaded = "--preload" in options
    assert ("api.models" in master.modules) is preloaded
    for trace in ready:
        assert ("api.models" in trace.modules) is not preloaded
        assert 0 < trace.header["ready_ns"] < START_S * 1e9
        # what a request imports for itself comes later
        start_up = [r for r in trace.records if r["start_ns"] < trace.header["ready_ns"]]
        assert [r for r in start_up if r["outcome"] == "failed" and not r["handled"]] == []
    assert "importtrace:" not in log


def test_a_worker_that_cannot_import_its_application_says_why(tmp_path: Path) -> None:
    """gunicorn's log holds the explanation, and it ends as it does without us."""
    (tmp_path / "service.py").write_text("from limits import LIMIT\n\nNAME = 'service'\n")
    (tmp_path / "limits.py").write_text("from service import NAME\n\nLIMIT = len(NAME)\n")
    ends = []
    for traces in (None, tmp_path):
        env = servers.environment(traces, "notes", IMPORTTRACE_LOG="off")
        bad = [*command()[:-1], "service:application"]
        bad[bad.index(str(WORKERS))] = "1"
        with servers.serving(bad, env, tmp_path) as server:
            ends.append((server.process.wait(START_S), server.log))
    (code_without, log_without), (code, log) = ends
    assert code == code_without == 3
    assert "[circular]" in log
    assert "[circular]" not in log_without


def test_undo_restores_the_method_itself() -> None:
    """By identity; and what somebody else has put around ours since stays."""
    servers.check_undo("gunicorn", "gunicorn.workers.base", "Worker", "notify")


def test_the_spans_of_all_workers_are_received(tmp_path: Path, agent: Agent) -> None:
    """Each worker sends its own, through the real exporter, to a receiver that is not ours."""
    traces = tmp_path / "traces"
    traces.mkdir()
    env = servers.environment(
        traces, "notes", IMPORTTRACE_LOG="off", OTEL_EXPORTER_OTLP_ENDPOINT=agent.http
    )
    env |= {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "notes"}
    with servers.serving(command(), env, tmp_path) as server:
        server.get("/notes/")
        ready = server.wait_for_traces(traces, WORKERS)
        pids = {trace.header["pid"] for trace in ready}
        deadline = time.monotonic() + START_S
        while True:
            spans = agent.spans()
            senders = {
                span.resource["process.pid"]
                for span in spans
                if span.attributes.get("python.import.module") == "api.models"
            }
            if senders >= pids:
                break
            if time.monotonic() > deadline:
                pytest.fail(f"spans of {senders} but not of all of {pids}: {server.log}")
            time.sleep(0.2)
        assert server.stop() == 0
    assert {span.resource["service.name"] for span in spans} == {"notes"}
