"""An OTLP receiver that this project did not write, and what it received, as plain values.

``ddapm-test-agent`` (PyPI) takes OTLP over HTTP and gRPC and shows what it got. It lives in a
virtual environment of its own, made once and kept in the temporary folder.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from http_support import Handler, Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = "ddapm-test-agent>=1.30"
START_S = 60.0


@dataclass(frozen=True)
class Span:
    """One received span. Ids are hex, ``parent`` is "" for none; a link is an id and attributes."""

    name: str
    id: str
    trace: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    links: list[tuple[str, dict[str, Any]]]
    events: list[tuple[str, int, dict[str, Any]]]
    status: dict[str, Any]
    resource: dict[str, Any]
    scope: str


@dataclass(frozen=True)
class Agent:
    """A running receiver."""

    http: str
    grpc: str

    def spans(self) -> list[Span]:
        """All that was received since ``clear``."""
        found = []
        for request in json.loads(self._get("/test/session/traces")):
            for resource_spans in request.get("resource_spans", []):
                resource = _attributes(resource_spans["resource"])
                for scope_spans in resource_spans["scope_spans"]:
                    scope = scope_spans["scope"]["name"]
                    found += [_span(data, resource, scope) for data in scope_spans["spans"]]
        return found

    def request_headers(self) -> list[dict[str, str]]:
        """Of every HTTP request since ``clear``, names in lower case."""
        requests = json.loads(self._get("/test/session/requests"))
        return [
            {name.lower(): value for name, value in request["headers"].items()}
            for request in requests
        ]

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Name -> metric, as received: of the last request that had it."""
        return {
            metric["name"]: metric
            for request in json.loads(self._get("/test/session/metrics"))
            for resource in request["resource_metrics"]
            for scope in resource["scope_metrics"]
            for metric in scope["metrics"]
        }

    def logs(self) -> list[dict[str, Any]]:
        """Log records: ``event``, ``severity``, ``trace``, ``span``, ``attributes``, ``resource``."""
        found = []
        for request in json.loads(self._get("/test/session/logs")):
            for resource_logs in request["resource_logs"]:
                resource = _attributes(resource_logs["resource"])
                for scope in resource_logs["scope_logs"]:
                    for record in scope["log_records"]:
                        found.append(
                            {
                                "event": record.get("event_name"),
                                "severity": record.get("severity_text"),
                                "trace": _hex(record["trace_id"]),
                                "span": _hex(record["span_id"]),
                                "attributes": _attributes(record),
                                "resource": resource,
                            }
                        )
        return found

    def clear(self) -> None:
        self._get("/test/session/clear")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.http + path, timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="session")
def running_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Starts the receiver; skips where pip cannot get it."""
    python = _environment()
    ports = [_free_port() for _ in range(3)]
    command = [str(python.parent / "ddapm-test-agent"), "-p", str(ports[0])]
    command += ["--otlp-http-port", str(ports[1]), "--otlp-grpc-port", str(ports[2])]
    command += ["--web-ui-port", "0"]
    log = tmp_path_factory.mktemp("agent") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        for port in ports[1:]:
            _await_port(port, process, log)
        yield Agent(http=f"http://127.0.0.1:{ports[1]}", grpc=f"http://127.0.0.1:{ports[2]}")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def agent(running_agent: Agent) -> Agent:
    """The receiver, with nothing received."""
    running_agent.clear()
    return running_agent


def _environment() -> Path:
    """The Python of a virtual environment with the receiver in it."""
    tag = f"importtrace-receiver-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder = Path(tempfile.gettempdir()) / f"{tag}-{sys.implementation.cache_tag}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(python), "-m", "pip", "install", "--quiet", PACKAGE]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install the OTLP receiver {PACKAGE}: {reason}")
        complete.touch()
    return python


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the OTLP receiver ended with {process.returncode}: {log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the OTLP receiver does not listen on {port} after {START_S} s")


def _span(data: dict[str, Any], resource: dict[str, Any], scope: str) -> Span:
    return Span(
        name=data["name"],
        id=_hex(data["span_id"]),
        trace=_hex(data["trace_id"]),
        parent=_hex(data.get("parent_span_id", "")),
        start_ns=int(data["start_time_unix_nano"]),
        end_ns=int(data["end_time_unix_nano"]),
        attributes=_attributes(data),
        links=[(_hex(link["span_id"]), _attributes(link)) for link in data.get("links", [])],
        events=[
            (event["name"], int(event["time_unix_nano"]), _attributes(event))
            for event in data.get("events", [])
        ],
        status=data.get("status", {}),
        resource=resource,
        scope=scope,
    )


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: _value(item["value"]) for item in holder.get("attributes", [])}


def _value(data: dict[str, Any]) -> Any:
    ((kind, value),) = data.items()
    if kind == "int_value":
        return int(value)
    if kind == "array_value":
        return [_value(item) for item in value.get("values", [])]
    return value


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


class Front(Listener):
    """Stands before a receiver, on HTTP, and misbehaves: ``rule(number)`` says how for each request.

    None: passes it on. A number: passes it on, and answers that many seconds later. A status and
    headers: answers so, passing nothing on.
    """

    def __init__(self, behind: str, rule: Callable[[int], Any] = lambda number: None) -> None:
        self.rule = rule
        self.requests = 0
        self.refused = 0
        front, lock = self, threading.Lock()

        class Passing(Handler):
            def do_POST(self) -> None:
                body = self.body()
                with lock:
                    front.requests += 1
                    order = front.rule(front.requests)
                if isinstance(order, tuple):
                    front.refused += 1
                    self.answer(order[0], order[1], b"")
                    return
                names = ("Content-Type", "Content-Encoding")
                headers = {name: self.headers[name] for name in names if self.headers[name]}
                request = urllib.request.Request(behind + self.path, body, headers)
                with urllib.request.urlopen(request, timeout=60) as answer:
                    content = answer.read()
                time.sleep(order or 0)  # a slow collector is what is meant
                with contextlib.suppress(OSError):  # who asked may have been killed
                    self.answer(200, {}, content)

        super().__init__(Passing, _free_port())  # named before it listens
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def front(agent: Agent) -> Iterator[Front]:
    """Before the receiver, not started."""
    it = Front(agent.http)
    yield it
    it.stop()
