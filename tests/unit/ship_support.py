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
from typing import TYPE_CHECKING, Any

from exporters_support import MS, load, trace
from http_support import Handler, Listener
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


class Collector(Listener):
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

        class Taking(Handler):
            def do_POST(self) -> None:
                body = self.body()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                self.answer(*collector._take(body))

        super().__init__(Taking)

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


def python(
    *arguments: object, environ: dict[str, str], cwd: Path | None = None
) -> subprocess.Popen[str]:
    """A fresh interpreter with nothing in its environment but what is given."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=keep | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(*arguments: object, **environ: str) -> subprocess.Popen[str]:
    """``importtrace ship``."""
    return python("-m", "importtrace", "ship", *arguments, environ=environ)


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
