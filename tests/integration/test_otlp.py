"""Spans by OTLP to a receiver that this project did not write, and read back from it."""

from __future__ import annotations

import json

import pytest
from exporters_support import MS, OTHER, START
from otlp_support import ENDING, EXIT, READY, make, record, start
from ship_support import end

from importtrace.records import Importer

pytest_plugins = ["receivers"]
pytestmark = pytest.mark.integration

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CAUSE = {
    "kind": "thread_race",
    "summary": "the package was half-built by MainThread",
    "fingerprint": "f00d",
    "root": {"module": "pkg"},
}
TRACE = make(
    record("load", 1, "app", duration_ns=90 * MS),
    record(
        "load",
        2,
        "pkg",
        parent=1,
        duration_ns=50 * MS,
        importer=Importer("/srv/app.py", 7, "app", "import pkg"),
        bytecode="compiled",
    ),
    record(
        "request",
        3,
        "pkg",
        of=2,
        thread=OTHER,
        outcome="waited",
        wait_ns=200 * MS,
        duration_ns=200 * MS,
    ),
    record("request", 4, "pkg", of=2, thread=OTHER, outcome="partial", bound_names=("x", "y")),
    record(
        "load",
        5,
        "pkg.broken",
        thread=OTHER,
        outcome="failed",
        handled=False,
        error={"type": "ImportError", "message": "cannot import name 'x'"},
        cause=CAUSE,
    ),
    record(
        "load",
        6,
        "ujson",
        outcome="failed",
        handled=True,
        error={"type": "ModuleNotFoundError", "message": "No module named 'ujson'"},
    ),
    ready_ns=100 * MS,
    ready_by="explicit",
    dropped=3,
)


def _environ(agent, protocol):
    endpoint = agent.grpc if protocol == "grpc" else agent.http
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "IMPORTTRACE_EXPORT_TIMEOUT_S": "50",
    }


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("code", [READY, ENDING, EXIT], ids=["ready", "ending", "exit"])
def test_what_was_recorded_is_what_arrives(agent, tmp_path, protocol, code):
    """Parents, links, times, status, attributes, events and resource, over both protocols."""
    process = start(tmp_path, TRACE, code, TRACEPARENT=TRACEPARENT, **_environ(agent, protocol))
    assert end(process) == (0, "ready\n" if code is READY else "", "")

    spans = {span.name: span for span in agent.spans()}
    assert len(agent.spans()) == len(spans) == 7
    root, app, pkg = spans["python.startup"], spans["import app"], spans["import pkg"]
    wait, partial = spans["wait pkg"], spans["partial pkg"]
    broken, ujson = spans["import pkg.broken"], spans["import ujson"]

    assert {span.trace for span in spans.values()} == {TRACEPARENT.split("-")[1]}
    assert root.parent == TRACEPARENT.split("-")[2]
    assert (app.parent, pkg.parent, wait.parent) == (root.id, app.id, root.id)
    assert wait.links == [(pkg.id, {"python.import.link": "waited_for"})]
    assert partial.links == [(pkg.id, {"python.import.link": "built_by"})]

    assert (root.start_ns, root.end_ns) == (START, START + 100 * MS)
    assert (pkg.start_ns, pkg.end_ns) == (START + 2 * MS, START + 52 * MS)
    assert (wait.start_ns, wait.end_ns) == (START + 3 * MS, START + 203 * MS)

    assert broken.status == {"message": CAUSE["summary"], "code": "STATUS_CODE_ERROR"}
    assert all(not span.status for span in spans.values() if span is not broken)
    for span, error in ((broken, "ImportError"), (ujson, "ModuleNotFoundError")):
        ((name, at, attributes),) = span.events
        assert (name, at, attributes["exception.type"]) == ("exception", span.end_ns, error)
    assert broken.attributes["error.type"] == "ImportError"
    assert json.loads(broken.attributes["python.import.cause"]) == CAUSE
    assert broken.attributes["python.import.cause.fingerprint"] == "f00d"
    assert "error.type" not in ujson.attributes

    assert pkg.attributes["code.file.path"] == "/srv/app.py"
    assert pkg.attributes["code.line.number"] == 7
    assert pkg.attributes["python.import.bytecode"] == "compiled"
    assert wait.attributes["thread.id"] == 202
    assert wait.attributes["thread.name"] == "warm-up"
    assert wait.attributes["python.import.wait_ms"] == 200.0
    assert partial.attributes["python.import.bound_names"] == ["x", "y"]
    assert root.attributes["python.import.dropped"] == 3

    assert root.resource["service.name"] == "shop"
    assert root.resource["deployment.environment.name"] == "test"
    assert root.resource["process.pid"] == 4711  # the traced process, not the one that sends
    assert root.scope == "importtrace"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_twenty_thousand_imports_all_arrive(agent, tmp_path, protocol):
    """Ten times what the SDK's default processor holds, compressed; each span once."""
    records = [record("load", id, f"m{id}", parent=id // 2 or None) for id in range(1, 20_001)]
    process = start(
        tmp_path,
        make(*records, ready_ns=1),
        READY,
        IMPORTTRACE_MAX_SPANS="20001",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        **_environ(agent, protocol),
    )
    assert end(process) == (0, "ready\n", "")
    spans = agent.spans()
    assert len(spans) == 20_001
    assert {span.name for span in spans} == {"python.startup"} | {
        f"import m{r.id}" for r in records
    }
    ids = {span.name: span.id for span in spans}
    assert all(
        span.parent == ids[f"import m{int(span.name[8:]) // 2}"]
        for span in spans
        if span.name not in ("python.startup", "import m1")
    )
    if protocol != "grpc":  # gRPC compresses frames; no header of a request says so
        assert {h.get("content-encoding") for h in agent.request_headers()} == {"gzip"}


def test_a_budget_bounds_what_is_sent(agent, tmp_path):
    """The rest is counted on what is kept."""
    records = [record("load", id, f"m{id}", parent=1 if id > 1 else None) for id in range(1, 501)]
    process = start(
        tmp_path,
        make(*records, ready_ns=1),
        EXIT,
        IMPORTTRACE_MAX_SPANS="10",
        **_environ(agent, "http/protobuf"),
    )
    assert end(process) == (0, "", "")
    spans = {span.name: span for span in agent.spans()}
    assert len(spans) == 10
    assert spans["import m1"].attributes["python.import.folded.count"] == 491


def test_the_spans_of_every_worker_arrive(agent, tmp_path):
    """Forked processes send their own start-up, even while the first one's is on its way."""
    code = """
exporters.deliver(trace, config, at_exit=False)
import warnings
warnings.simplefilter("error")
children = [os.fork() for _ in range(1)]
if children[0] == 0:
    trace.header["pid"] = 4712
exporters.deliver(trace, config, at_exit=True)
if children[0]:
    assert os.waitpid(children[0], 0)[1] == 0
"""
    process = start(tmp_path, TRACE, code, **_environ(agent, "http/protobuf"))
    assert end(process) == (0, "", "")
    roots = [span for span in agent.spans() if span.name == "python.startup"]
    assert sorted(span.resource["process.pid"] for span in roots) == [4711, 4712]


def test_an_application_s_provider_sends_through_its_own_exporter(agent, tmp_path):
    """In its process, with its resource, through its default batch processor, nothing dropped."""
    code = """
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(resource=Resource.create({"service.name": "theirs"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
otel.set_tracer_provider(provider)
exporters.deliver(trace, config, at_exit=False)
exporters.deliver(trace, config, at_exit=True)
"""
    records = [record("load", id, f"m{id}") for id in range(1, 4001)]
    environ = _environ(agent, "http/protobuf") | {"IMPORTTRACE_MAX_SPANS": "9999"}
    process = start(tmp_path, make(*records, ready_ns=1), code, **environ)
    assert end(process) == (0, "", "")
    spans = agent.spans()
    assert len(spans) == 4001
    assert {span.resource["service.name"] for span in spans} == {"theirs"}


REAL = """
import sys
import importtrace
importtrace.install()
import xml.dom.minidom
try:
    import not_there_at_all
except ImportError:
    pass
importtrace.mark_ready()
"""


def test_a_real_start_up(agent, tmp_path):
    """A program that installs, imports and is ready: its modules under their importers."""
    environ = _environ(agent, "http/protobuf")
    assert end(start(tmp_path, TRACE, REAL, prelude="", **environ)) == (0, "", "")
    spans = {span.name: span for span in agent.spans()}
    root, minidom = spans["python.startup"], spans["import xml.dom.minidom"]
    assert spans["import xml.dom.domreg"].parent == spans["import xml.dom"].id
    assert spans["import xml.dom.xmlbuilder"].parent in {s.id for s in spans.values()}
    assert minidom.parent == root.id
    assert minidom.start_ns < spans["import xml.dom.minicompat"].start_ns
    assert spans["import xml.dom.minicompat"].end_ns < minidom.end_ns <= root.end_ns
    assert root.attributes["python.startup.ready_by"] == "explicit"
    missing = spans["import not_there_at_all"]
    assert missing.attributes["python.import.handled"] is True
    assert not missing.status
