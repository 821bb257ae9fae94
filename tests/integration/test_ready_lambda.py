"""AWS Lambda's runtime client against its HTTP interface on loopback: start-up ends at the first poll."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import ready_programs as programs
from projects import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

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
        self.posted: dict[str, Any] = {}


class RuntimeHandler(BaseHTTPRequestHandler):
    server: Runtime
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next", self.path
        self.server.events += 1
        if self.server.events > 1:
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
