"""Spans through a provider of the application's, read back from the SDK's in-memory exporter."""

from __future__ import annotations

import pytest
from exporters_support import MS, START, cause, failed, load, request, trace
from opentelemetry import context
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from importtrace.exporters.opentelemetry import ProviderExporter

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def memory():
    """The application's provider and what arrives at its exporter."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def _export(provider, *records, environ=None, max_spans=100_000, timeout_s=30, **header):
    exporter = ProviderExporter(
        provider, environ or {}, max_spans=max_spans, long_wait_ms=100, timeout_s=timeout_s
    )
    exporter.export(trace(*records, **header))
    return exporter


def test_parents_links_times_and_attributes_are_the_recorded_ones(memory):
    """The tree of spans is the tree of imports."""
    provider, exporter = memory
    waited = request(3, "b", 2, outcome="waited", wait_ns=200 * MS, duration_ns=200 * MS)
    assert _export(provider, load(1, "a"), load(2, "b", parent=1), waited).flush(1.0) is True
    spans = {span.name: span for span in exporter.get_finished_spans()}
    root, a, b = spans["python.startup"], spans["import a"], spans["import b"]
    wait = spans["wait b"]
    assert root.parent is None
    assert a.parent == root.context
    assert b.parent == a.context
    assert [link.context for link in wait.links] == [b.context]
    assert wait.links[0].attributes["python.import.link"] == "waited_for"
    assert (b.start_time, b.end_time) == (START + 2 * MS, START + 3 * MS)
    assert wait.end_time - wait.start_time == 200 * MS
    assert b.attributes["code.line.number"] == 3
    assert wait.attributes["thread.name"] == "warm-up"
    assert b.instrumentation_scope.name == "importtrace"
    assert all(span.status.status_code is otel.StatusCode.UNSET for span in spans.values())


def test_only_an_unhandled_failure_is_an_error(memory):
    """Both have the exception event, at the end of the load."""
    provider, exporter = memory
    _export(provider, failed(1, "bad"), failed(2, "optional", handled=True))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    bad, optional = spans["import bad"], spans["import optional"]
    assert bad.status.status_code is otel.StatusCode.ERROR
    assert bad.status.description == cause()["summary"]
    assert optional.status.status_code is otel.StatusCode.UNSET
    for span in (bad, optional):
        (event,) = span.events
        assert (event.name, event.timestamp) == ("exception", span.end_time)
        assert event.attributes["exception.type"] == "ImportError"


def test_traceparent_is_the_root_s_parent(memory):
    """The process belongs to whatever started it."""
    provider, exporter = memory
    _export(provider, load(1, "a"), environ={"TRACEPARENT": TRACEPARENT, "TRACESTATE": "k=v"})
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert format(spans["import a"].context.trace_id, "032x") == TRACEPARENT.split("-")[1]
    assert format(spans["python.startup"].parent.span_id, "016x") == TRACEPARENT.split("-")[2]
    assert spans["python.startup"].context.trace_state.get("k") == "v"


@pytest.mark.parametrize("value", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_traceparent_is_none(memory, value):
    """The root then begins a trace of its own."""
    provider, exporter = memory
    _export(provider, load(1, "a"), environ={"TRACEPARENT": value})
    assert exporter.get_finished_spans()[0].parent is None


def test_the_current_span_is_not_the_parent(memory):
    """What happens to run when we export has nothing to do with the imports."""
    provider, exporter = memory
    with provider.get_tracer("app").start_as_current_span("request"):
        _export(provider, load(1, "a"))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans["python.startup"].parent is None
    assert spans["import a"].context.trace_id != spans["request"].context.trace_id


def test_our_requests_are_not_instrumented():
    """What sends our spans makes none of its own; the context is put back as it was."""
    seen = []

    class Sender(SpanProcessor):
        def on_end(self, span):
            seen.append(context.get_value("suppress_instrumentation"))

        def force_flush(self, timeout_millis=30000):
            seen.append(context.get_value("suppress_instrumentation"))
            return True

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Sender())
    assert _export(provider, load(1, "a")).flush(1.0) is True
    assert seen == [True] * 3
    assert context.get_value("suppress_instrumentation") is None


def test_the_default_batch_processor_drops_nothing():
    """Its queue holds 2,048 spans and drops beyond without a word; 5,000 arrive all the same."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    ours = _export(provider, *(load(id, f"m{id}") for id in range(1, 5001)))
    assert ours.flush(30.0) is True
    assert len(exporter.get_finished_spans()) == 5001
    provider.shutdown()


def test_a_provider_that_does_not_flush_is_reported():
    """What was not handed over is counted, and we stop."""

    class Stuck(TracerProvider):
        def force_flush(self, timeout_millis=30000):
            return False

    ours = _export(Stuck(shutdown_on_exit=False), *(load(id, f"m{id}") for id in range(1, 1000)))
    assert ours.flush(1.0) is False
    assert ours.loss.startswith("744 of 1000 spans not handed to the application's TracerProvider")


def test_a_sampler_that_wants_none_gets_none():
    """That is a decision of the application's, not a loss."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert _export(provider, load(1, "a")).flush(1.0) is True
    assert exporter.get_finished_spans() == ()


def test_a_provider_that_is_no_sdk_s_does_nothing():
    """An application may set the API's no-op provider to switch tracing off."""
    assert _export(otel.NoOpTracerProvider(), load(1, "a")).flush(1.0) is True
