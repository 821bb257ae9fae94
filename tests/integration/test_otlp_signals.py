"""What else of OpenTelemetry a start-up becomes, read back from a receiver: metrics, logs, a fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from exporters_support import MS
from otlp_support import EXIT, READY, make, record, start
from ship_support import end

pytest_plugins = ["receivers"]
pytestmark = pytest.mark.integration

TRACE = make(
    record("load", 1, "app", duration_ns=90 * MS, self_ns=20 * MS, bytecode="compiled"),
    record("load", 2, "pkg", parent=1, bytecode="hit"),
    record("request", 3, "pkg", of=2, outcome="waited", wait_ns=200 * MS),
    record("request", 4, "pkg", of=2, outcome="partial"),
    record(
        "load",
        5,
        "broken",
        outcome="failed",
        handled=False,
        error={"type": "ImportError", "message": "cannot import name 'x'"},
        cause={"kind": "circular", "summary": "came back", "fingerprint": "f00d"},
    ),
    record(
        "load",
        6,
        "ujson",
        outcome="failed",
        handled=True,
        error={"type": "ModuleNotFoundError", "message": "No module named 'ujson'"},
    ),
    ready_ns=700 * MS,
    dropped=3,
)


def _environ(agent, protocol="http/protobuf", **more):
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": agent.grpc if protocol == "grpc" else agent.http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_SERVICE_NAME": "shop",
        "IMPORTTRACE_EXPORT_TIMEOUT_S": "50",
    } | more


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("code", [READY, EXIT], ids=["ready", "exit"])
def test_metrics_where_they_are_configured(agent, tmp_path, protocol, code):
    """Names, units, buckets that suit seconds, and the numbers of the trace."""
    environ = _environ(agent, protocol, OTEL_METRICS_EXPORTER="otlp")
    assert end(start(tmp_path, TRACE, code, **environ))[2] == ""
    metrics = agent.metrics()
    (point,) = metrics["python.startup.duration"]["histogram"]["data_points"]
    assert metrics["python.startup.duration"]["unit"] == "s"
    assert (point["count"], point["sum"]) == ("1", 0.7)
    assert 0.5 in point["explicit_bounds"]
    assert point["bucket_counts"][point["explicit_bounds"].index(1.0)] == "1"
    assert {name: _sum(metrics[name]) for name in metrics if "sum" in metrics[name]} == {
        "python.import.count": 4,
        "python.import.failures": 2,
        "python.import.handouts": 1,
        "python.import.compiled": 1,
        "python.import.dropped": 3,
    }
    (wait,) = metrics["python.import.wait.duration"]["histogram"]["data_points"]
    assert (wait["count"], wait["sum"]) == ("1", 0.2)
    assert len(agent.spans()) == 7


def _sum(metric):
    return sum(int(point["as_int"]) for point in metric["sum"]["data_points"])


def test_metrics_are_not_sent_where_only_an_endpoint_is(agent, tmp_path):
    """Behind it may be a Jaeger, which would answer 404 at each start."""
    assert end(start(tmp_path, TRACE, EXIT, **_environ(agent)))[2] == ""
    assert agent.metrics() == {}
    assert len(agent.spans()) == 7


def test_metrics_without_spans(agent, tmp_path):
    """Traces are switched off by name, metrics on."""
    environ = _environ(agent, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="otlp")
    assert end(start(tmp_path, TRACE, EXIT, **environ))[2] == ""
    assert "python.startup.duration" in agent.metrics()
    assert agent.spans() == []


@pytest.mark.parametrize(
    ("opt_in", "events", "logs"),
    [("logs", 0, 2), ("logs/dup", 2, 2), ("http,logs", 0, 2), ("", 2, 0)],
)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_exceptions_as_the_opt_in_says(agent, tmp_path, opt_in, events, logs, protocol):
    """The semantic conventions' rule for instrumentations that had span events before."""
    environ = _environ(agent, protocol, OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN=opt_in)
    assert end(start(tmp_path, TRACE, EXIT, **environ))[2] == ""
    spans = {span.name: span for span in agent.spans()}
    assert sum(len(span.events) for span in spans.values()) == events
    records = {record["span"]: record for record in agent.logs()}
    assert len(records) == logs
    if logs:
        broken, ujson = (records[spans[f"import {name}"].id] for name in ("broken", "ujson"))
        assert (broken["severity"], ujson["severity"]) == ("ERROR", "DEBUG")
        assert broken["trace"] == spans["import broken"].trace
        assert broken["attributes"]["exception.type"] == "ImportError"
        assert broken["attributes"]["exception.message"] == "cannot import name 'x'"
        assert broken["resource"]["service.name"] == "shop"


def test_limits_are_respected(agent, tmp_path):
    """Those of the specification's variables."""
    environ = _environ(
        agent,
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="5",
        OTEL_SPAN_EVENT_COUNT_LIMIT="0",
        OTEL_SPAN_LINK_COUNT_LIMIT="0",
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="4",
    )
    assert end(start(tmp_path, TRACE, EXIT, **environ))[2] == ""
    for span in agent.spans():
        assert len(span.attributes) <= 5
        assert (span.events, span.links) == ([], [])
        assert all(len(v) <= 4 for v in span.attributes.values() if isinstance(v, str))


@pytest.mark.parametrize(
    "setting", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_what_switches_opentelemetry_off_does(agent, tmp_path, setting):
    """Even where IMPORTTRACE_SPANS=on."""
    environ = _environ(agent, IMPORTTRACE_SPANS="on") | setting
    assert end(start(tmp_path, TRACE, EXIT, **environ)) == (0, "", "")
    assert agent.spans() == []


def test_headers_reach_the_collector(agent, tmp_path):
    """As for a vendor's key."""
    environ = _environ(agent, OTEL_EXPORTER_OTLP_HEADERS="api-key=s3cret,x-tenant=a%20b")
    assert end(start(tmp_path, TRACE, EXIT, **environ))[2] == ""
    (headers,) = agent.request_headers()
    assert (headers["api-key"], headers["x-tenant"]) == ("s3cret", "a b")


def test_log_lines_name_the_spans_that_arrive(agent, tmp_path):
    """A line leads to its span, without the SDK in the traced process."""
    environ = _environ(agent, IMPORTTRACE_LOG="info")
    _, _, err = end(start(tmp_path, TRACE, READY, **environ))
    lines = {line["event"]: line for line in map(json.loads, err.splitlines())}
    spans = {span.name: span for span in agent.spans()}
    pairs = {"import.failed": "import broken", "import.long_wait": "wait pkg"}
    for event, name in (pairs | {"import.startup": "python.startup"}).items():
        assert lines[event]["span_id"] == spans[name].id
        assert lines[event]["trace_id"] == spans[name].trace


PROPAGATED = """
import subprocess, sys
import importtrace
importtrace.install(propagate="on")
subprocess.run([sys.executable, "-c", "import importtrace; importtrace.install(); import wave"])
importtrace.mark_ready()
"""


def test_a_child_process_continues_the_trace_where_asked_for(agent, tmp_path):
    """Its start-up hangs under its parent's."""
    end(start(tmp_path, TRACE, PROPAGATED, prelude="", **_environ(agent)))
    roots = [span for span in agent.spans() if span.name == "python.startup"]
    (outer,) = [span for span in roots if not span.parent]
    (inner,) = [span for span in roots if span.parent]
    assert (inner.parent, inner.trace) == (outer.id, outer.trace)


ENDING = """
import importtrace
importtrace.install()
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
otel.set_tracer_provider(provider)
import threading, time
gate = threading.Event()
def late():
    gate.wait(30)
    import wave
thread = threading.Thread(target=late)
thread.start()
threading.Timer(0.2, gate.set).start()
"""


def test_a_short_script_with_a_provider_of_its_own_that_is_never_ready(agent, tmp_path):
    """The SDK shuts that down in an exit handler of its own; ours comes before, after all threads."""
    assert end(start(tmp_path, TRACE, ENDING, prelude="", **_environ(agent))) == (0, "", "")
    names = [span.name for span in agent.spans()]
    assert names.count("python.startup") == 1
    assert names.count("import wave") == 1


def test_opentelemetry_instrument_picks_it_up(agent, tmp_path, instrumented):
    """The real command: spans and metrics through the providers that it sets, with its resource."""
    script = tmp_path / "app.py"
    script.write_text("import xml.dom.minidom\nprint('done')\n")
    command = [
        str(instrumented / "opentelemetry-instrument"),
        str(instrumented / "python"),
        str(script),
    ]
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = keep | _environ(agent) | {"IMPORTTRACE_LOG": "off"}
    for disabled in ("", "importtrace"):
        agent.clear()
        done = subprocess.run(
            command,
            env=environ | {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
        spans = {span.name: span for span in agent.spans()}
        if disabled:
            assert spans == {}
        else:
            assert spans["import xml.dom.minicompat"].parent == spans["import xml.dom.minidom"].id
            assert spans["python.startup"].resource["telemetry.auto.version"]
            assert "python.startup.duration" in agent.metrics()
            assert {span.scope for span in spans.values()} == {"importtrace"}


@pytest.fixture(scope="module")
def instrumented(tmp_path_factory):
    """The bin folder of an environment with importtrace, opentelemetry-distro and an instrumented HTTP
    client; skips where pip cannot make it."""
    import venv
    from pathlib import Path

    folder = tmp_path_factory.mktemp("instrumented")
    venv.create(folder, with_pip=True, symlinks=os.name == "posix")
    packages = ["opentelemetry-distro", "opentelemetry-instrumentation-requests"]
    ours = str(Path(__file__).parents[2])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", ours, *packages]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        pytest.skip(f"pip cannot install opentelemetry-distro: {reason}")
    return folder / "bin"


def test_resource_detectors_describe_the_traced_process(agent, tmp_path):
    """host and os, by the SDK's own; the process is the traced one, whatever is asked for."""
    environ = _environ(
        agent,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="host,os,process",
        OTEL_RESOURCE_ATTRIBUTES="service.version=1.2.3,k8s.pod.name=shop-7,team=a",
    )
    assert end(start(tmp_path, TRACE, EXIT, **environ))[2] == ""
    resource = agent.spans()[0].resource
    assert resource["process.pid"] == 4711
    assert resource["host.name"] == os.uname().nodename
    assert resource["os.type"] == sys.platform
    assert (resource["service.version"], resource["k8s.pod.name"]) == ("1.2.3", "shop-7")
    assert resource["team"] == "a"
