"""Endpoints that refuse, hang or are misconfigured: one line, a bounded time, nothing else."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager

import pytest
from otlp_support import EXIT, READY, make, record, start
from ship_support import end

pytestmark = pytest.mark.integration

TRACE = make(record("load", 1, "a"), ready_ns=1)


@contextmanager
def _listening(backlog=16):
    """A port that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield server.getsockname()[1]


def _unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _one_line(process, outcome=(0, "")):
    begun = time.monotonic()
    code, out, err = end(process)
    assert (code, out) == outcome
    assert len(err.splitlines()) == 1, err
    assert err.startswith("importtrace: ")
    return err, time.monotonic() - begun


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("code", [READY, EXIT], ids=["ready", "exit"])
def test_an_unreachable_endpoint(tmp_path, protocol, code):
    """How many spans, where to, why, what next."""
    endpoint = f"http://127.0.0.1:{_unused_port()}"
    process = start(
        tmp_path,
        TRACE,
        code,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        IMPORTTRACE_EXPORT_TIMEOUT_S="4",
    )
    err, seconds = _one_line(process, (0, "ready\n" if code is READY else ""))
    assert f"2 of 2 spans not sent to {endpoint}" in err
    assert "refused" in err.lower() or "UNAVAILABLE" in err
    assert "IMPORTTRACE_SPANS=off" in err
    assert seconds < 15


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_program_that_ends_does_not_wait_for_a_collector_that_is_not_there(tmp_path, protocol):
    """However long sending may take: nobody takes the connection, and it is said."""
    process = start(
        tmp_path,
        TRACE,
        EXIT,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{_unused_port()}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        IMPORTTRACE_EXPORT_TIMEOUT_S="60",
    )
    err, seconds = _one_line(process)
    assert "2 of 2 spans not sent" in err
    assert "importtrace ship" in err
    assert seconds < 20


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_hanging_endpoint(tmp_path, protocol):
    """It takes the connection and never answers; the process ends in time all the same."""
    with _listening() as port:
        process = start(
            tmp_path,
            TRACE,
            EXIT,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            IMPORTTRACE_EXPORT_TIMEOUT_S="3",
        )
        err, seconds = _one_line(process)
    assert "2 of 2 spans not sent" in err
    assert seconds < 12


def test_a_fork_that_began_before_the_child_did(tmp_path):
    """Its hooks found nothing to pause: afterwards one thread minds the child, not two."""
    code = """
import threading
from importtrace.exporters import child
exporters.deliver(trace, config, at_exit=False)
child._after_in_parent()
minding = [thread for thread in threading.enumerate() if thread.name == "importtrace-ship"]
assert len(minding) == 1, minding
exporters.before_fork()
assert threading.active_count() == 1
child._after_in_parent()
exporters.deliver(trace, config, at_exit=True)
"""
    with _listening() as port:
        endpoint = f"http://127.0.0.1:{port}"
        process = start(
            tmp_path,
            TRACE,
            code,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            IMPORTTRACE_EXPORT_TIMEOUT_S="2",
        )
        err, _ = _one_line(process)
    assert "not sent" in err


def test_the_ready_mark_does_not_wait_for_a_hanging_endpoint(tmp_path):
    """The program goes on at once, forks without a warning, and keeps no zombie."""
    code = """
import threading, time, warnings
warnings.simplefilter("error")
begun = time.monotonic()
exporters.deliver(trace, config, at_exit=False)
assert time.monotonic() - begun < 2
child = os.fork()
if child == 0:
    os._exit(7)
assert os.waitpid(child, 0)[1] >> 8 == 7
minding = [thread for thread in threading.enumerate() if thread.name == "importtrace-ship"]
assert len(minding) == 1, minding
print("still running", flush=True)
exporters.deliver(trace, config, at_exit=True)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child is left")
"""
    with _listening() as port:
        process = start(
            tmp_path,
            TRACE,
            code,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            IMPORTTRACE_EXPORT_TIMEOUT_S="3",
        )
        err, _ = _one_line(process, (0, "still running\nno child is left\n"))
    assert "not sent" in err


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "'http/json' is not supported"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "rar"},
            "rar",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "not a url"}, "not sent to not a url"),
    ],
)
def test_malformed_settings(tmp_path, environ, expected):
    """A value that the SDK refuses is named, in one line, without its traceback."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{_unused_port()}"}
    err, _ = _one_line(start(tmp_path, TRACE, EXIT, **(endpoint | environ)))
    assert expected in err


def test_without_the_sdk(tmp_path):
    """Injected where only importtrace is importable: which package to install."""
    code = (
        """
from importtrace.exporters import child
blocked = "import sys; sys.modules['opentelemetry.sdk'] = None; "
child._BOOT = blocked + child._BOOT
"""
        + EXIT
    )
    err, _ = _one_line(start(tmp_path, TRACE, code, IMPORTTRACE_SPANS="on"))
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp" in err
    assert "[missing-dependency]" in err


def test_where_no_process_can_be_started(tmp_path):
    """An embedded interpreter, a frozen program: said, not tried."""
    code = "sys.executable = ''; sys.exec_prefix = '/nowhere'\n" + EXIT
    err, _ = _one_line(start(tmp_path, TRACE, code, IMPORTTRACE_SPANS="on"))
    assert "no Python interpreter" in err


def test_a_child_that_dies_is_reported(tmp_path):
    """Killed by a memory limit, say, before it could speak."""
    code = "from importtrace.exporters import child\nchild._BOOT = 'raise SystemExit(9)'\n" + READY
    err, _ = _one_line(start(tmp_path, TRACE, code, IMPORTTRACE_SPANS="on"), (0, "ready\n"))
    assert "the sending process ended with 9" in err


def test_modules_beside_the_script_do_not_shadow_the_child_s(tmp_path):
    """A service with a json.py of its own gets its spans sent."""
    service = tmp_path / "service"
    service.mkdir()
    (service / "json.py").write_text("raise RuntimeError('shadowed')\n")
    (service / "sitecustomize.py").write_text("raise RuntimeError('run')\n")
    endpoint = f"http://127.0.0.1:{_unused_port()}"
    change = f"os.environ['PYTHONPATH'] = {str(service)!r}; sys.path.insert(0, {str(service)!r})\n"
    process = start(
        tmp_path,
        TRACE,
        change + EXIT,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        IMPORTTRACE_EXPORT_TIMEOUT_S="2",
    )
    # it comes as far as the network, so its own modules were found
    err, _ = _one_line(process)
    assert f"2 of 2 spans not sent to {endpoint}" in err
