"""A collector that can be told to misbehave, and `importtrace ship` started against it."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from exporters_support import MS, load, trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from importtrace import tracefile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# What to answer to a request: a status, headers, and whether the spans are kept all the same.
Answer = tuple[int, dict[str, str], bool]
OK: Answer = (200, {}, True)


class Collector:
    """Takes OTLP over HTTP. ``judge(number, request)`` decides on each request that holds spans.

    Requests without spans get ``empty``.
    """

    def __init__(self, judge: Callable[[int, Any], Answer] = lambda number, request: OK) -> None:
        self.judge = judge
        self.empty = 200
        self.rejects = 0
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.requests = 0
        self.paused = threading.Event()
        self.paused.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, headers, content = collector._take(body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def environ(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    @property
    def names(self) -> Counter[str]:
        return Counter(span.name for span in self.spans)

    @property
    def ids(self) -> list[bytes]:
        return [span.span_id for span in self.spans]

    def root(self) -> dict[str, Any]:
        """The attributes of the one root span."""
        (root,) = [span for span in self.spans if span.name == "python.startup"]
        return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in root.attributes}

    def await_spans(self, count: int, timeout_s: float = 30.0) -> None:
        """Until so many have come."""
        deadline = time.monotonic() + timeout_s
        while len(self.spans) < count:
            assert time.monotonic() < deadline, f"{len(self.spans)} of {count} spans came"
            time.sleep(0.01)

    def _take(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        request = ExportTraceServiceRequest.FromString(body)
        new = [
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        if not new:
            return self.empty, {}, b""
        self.requests += 1
        status, headers, keep = self.judge(self.requests, new)
        if keep:
            self.spans += new
            for resource in request.resource_spans:
                attributes = resource.resource.attributes
                self.resources.append({a.key: a.value.string_value for a in attributes})
        self.paused.wait(30)
        answer = ExportTraceServiceResponse()
        if self.rejects:
            answer.partial_success.rejected_spans = self.rejects
            answer.partial_success.error_message = "too old"
        return status, headers, answer.SerializeToString()


def write(folder: Path, name: str, count: int, *, pid: int = 4711, **header: Any) -> Path:
    """A trace file with ``count`` loads, each in the one of half its number."""
    records = [
        load(id, f"m{id}", parent=id // 2 or None, start_ns=id * MS) for id in range(1, count + 1)
    ]
    path = folder / name
    given = {"host": "node-1", "ready_ns": 10 * MS, "pid": pid} | header
    tracefile.write(trace(*records, **given), str(path))
    return path


def start(*arguments: object, **environ: str) -> subprocess.Popen[str]:
    """``importtrace ship`` with nothing in its environment but what is given."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "importtrace", "ship", *map(str, arguments)],
        env=keep | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], timeout_s: float = 60.0) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, out, err


def ship(*arguments: object, **environ: str) -> tuple[int, str, str]:
    """As ``start``, to its end."""
    return end(start(*arguments, **environ))


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    return end(process)
