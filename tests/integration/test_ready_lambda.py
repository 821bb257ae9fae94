"""AWS Lambda's runtime client against its HTTP interface on loopback: start-up ends at the first poll."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import ready_programs as programs
from projects import servers
from ship_support import Collector

from importtrace.inject import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

SENDING = ("structlog>=24.1", "opentelemetry-sdk>=1.27", "opentelemetry-exporter-otlp>=1.27")
HANDLER = """
import json
import warmed

def handle(event, context):
    import asked
    return {"sum": event["a"] + event["b"], "pid": asked.PID}
"""


class Runtime(ThreadingHTTPServer):
    """The interface that Lambda gives a runtime: one event, then nothing more to do.

    All its headers: the runtime client crashes (SIGSEGV) where one is missing.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RuntimeHandler)
        self.events = 0
        self.answered = threading.Event()
        self.over = threading.Event()
        self.frozen = threading.Event()  # the second poll: Lambda freezes the process here
        self.posted: dict[str, Any] = {}


class RuntimeHandler(BaseHTTPRequestHandler):
    server: Runtime
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next", self.path
        self.server.events += 1
        if self.server.events > 1:
            self.server.frozen.set()
            self.server.over.wait(servers.START_S)  # as Lambda does between two events
            self.close_connection = True
            return
        self._send(
            200,
            b'{"a": 2, "b": 3}',
            {
                "Lambda-Runtime-Aws-Request-Id": "request-1",
                "Lambda-Runtime-Deadline-Ms": "99999999999999",
                "Content-Type": "application/json",
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000001",
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:1:function:sum",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not body and self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        self.server.posted[self.path.removeprefix("/2018-06-01/runtime/")] = json.loads(body)
        self._send(202, b"{}", {})
        self.server.answered.set()

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def runtime() -> Iterator[Runtime]:
    with Runtime() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join(servers.STOP_S)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    it = Collector()
    it.start()
    yield it
    it.paused.set()
    it.stop()


def command(python: Path) -> list[str]:
    return [str(python), "-m", "awslambdaric", "handler.handle"]


def client() -> Path:
    return programs.python_with("lambda", "awslambdaric>=3")


def test_start_up_ends_where_the_runtime_client_asks_for_an_event(tmp_path: Path) -> None:
    """The handler's module is part of it, what the handler imports is not; the event is answered."""
    application = programs.write(tmp_path / "app", handler=HANDLER)
    traces = tmp_path / "traces"
    with runtime() as lambda_:
        env = programs.environment(
            traces, application, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{lambda_.server_port}"
        )
        with servers.serving(command(client()), env, tmp_path) as function:
            (trace,) = function.wait_for_traces(traces, 1)
            assert lambda_.answered.wait(servers.START_S), function.log
            log = function.log
    answer = lambda_.posted["invocation/request-1/response"]
    assert answer == {"sum": 5, "pid": trace.header["pid"]}
    assert trace.header["ready_by"] == "awslambdaric"
    assert {"handler", "warmed"} <= programs.before_ready(trace)
    assert "asked" not in programs.before_ready(trace)
    assert "importtrace:" not in log


def test_all_is_delivered_when_lambda_freezes_the_process(
    tmp_path: Path, collector: Collector
) -> None:
    """The client polls for the second event, and nothing of the process runs any more: by then the
    trace file is there, the log is written, and the spans are at the collector."""
    application = programs.write(tmp_path / "app", handler=HANDLER)
    traces = tmp_path / "traces"
    python = programs.python_with("lambda-spans", "awslambdaric>=3", *SENDING)
    with runtime() as lambda_:
        env = programs.environment(
            traces, application, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{lambda_.server_port}"
        )
        env |= {**collector.environ, "IMPORTTRACE_LOG": "info"}
        with servers.serving(command(python), env, tmp_path) as function:
            assert lambda_.frozen.wait(servers.START_S), function.log
            names = set(collector.names)
            function.process.kill()
            log = function.log
        (path,) = traces.iterdir()
    trace = servers.Trace(path)
    assert trace.header["ready_by"] == "awslambdaric"
    assert {"python.startup", "import handler", "import warmed"} <= names
    assert '"event": "import.startup"' in log
    assert lambda_.posted["invocation/request-1/response"]["sum"] == 5


def test_a_collector_that_hangs_holds_lambda_up_for_a_bounded_time(
    tmp_path: Path, collector: Collector
) -> None:
    """The answer is out before; then it is waited for as long as the export may take, and no longer."""
    application = programs.write(tmp_path / "app", handler=HANDLER)
    python = programs.python_with("lambda-spans", "awslambdaric>=3", *SENDING)
    with runtime() as lambda_:
        collector.paused.clear()
        env = programs.environment(
            None, application, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{lambda_.server_port}"
        )
        env |= {**collector.environ, "IMPORTTRACE": "1", "IMPORTTRACE_LOG": "off"}
        env |= {"IMPORTTRACE_EXPORT_TIMEOUT_S": "2"}
        env["PYTHONPATH"] = os.pathsep.join([SITE, env["PYTHONPATH"]])
        with servers.serving(command(python), env, tmp_path) as function:
            assert lambda_.answered.wait(servers.START_S), function.log
            begin = time.monotonic()
            assert lambda_.frozen.wait(30), function.log
            waited = time.monotonic() - begin
    assert waited < 20
    assert "spans" in function.log  # it is said


def test_a_handler_that_cannot_be_imported_is_reported_to_lambda_as_without_us(
    tmp_path: Path,
) -> None:
    """The same report to Lambda, the same exit code; the trace has the failure and no ready mark."""
    application = programs.write(tmp_path / "app", handler="import nowhere_to_be_found\n")
    traces = tmp_path / "traces"
    ends = []
    for folder in (None, traces):
        with runtime() as lambda_:
            env = programs.environment(
                folder, application, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{lambda_.server_port}"
            )
            done = subprocess.run(
                command(client()),
                env=env,
                cwd=tmp_path,
                capture_output=True,
                timeout=servers.START_S,
            )
            ends.append((done.returncode, lambda_.posted, lambda_.events))
    assert ends[0] == ends[1]
    code, posted, events = ends[1]
    assert (code, events) == (1, 0)
    assert "nowhere_to_be_found" in posted["init/error"]["errorMessage"]
    (path,) = traces.iterdir()
    trace = servers.Trace(path)
    assert "ready_by" not in trace.header
    assert ("handler", "failed") in {(r["module"], r["outcome"]) for r in trace.records}
