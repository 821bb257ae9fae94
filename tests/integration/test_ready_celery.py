"""A celery worker, with its in-memory broker: start-up ends when it takes tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import ready_programs as programs
from projects import servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TASKS = """
import celery
from celery.signals import worker_ready

app = celery.Celery("tasks", broker="memory://", backend="cache+memory://")

@app.task
def add(a, b):
    import asked
    return a + b

@worker_ready.connect
def warm(**_):
    import warmed
"""


@pytest.mark.parametrize("pool", ["solo", "prefork", "threads"])
def test_a_worker_is_ready_when_its_consumer_is(pool: str, tmp_path: Path) -> None:
    """After the handlers of `worker_ready`, whose imports count; once, in the main process."""
    application = programs.write(tmp_path / "app", tasks=TASKS)
    traces = tmp_path / "traces"
    python = programs.python_with("celery", "celery>=5.3")
    command = [str(python.parent / "celery"), "-A", "tasks", "worker", "--pool", pool]
    command += ["--concurrency", "2", "--without-gossip", "--without-mingle"]
    env = programs.environment(traces, application)
    with servers.serving(command, env, tmp_path) as worker:
        (trace,) = worker.wait_for_traces(traces, 1)
        code = worker.stop()
        log = worker.log
    assert code == 0
    assert trace.header["ready_by"] == "celery"
    assert trace.header["pid"] == worker.process.pid
    assert {"tasks", "warmed", "celery.apps.worker"} <= programs.before_ready(trace)
    assert "importtrace:" not in log
