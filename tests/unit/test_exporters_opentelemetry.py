"""Spans through a provider of the application's, read back from the SDK's in-memory exporter."""

from __future__ import annotations

import pytest
from exporters_support import MS, START, cause, failed, load, request, trace
from opentelemetry import context
from opentelemetry import trace as otel
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
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


def _export(provider, *records, max_spans=100_000, timeout_s=30, **header):
    exporter = ProviderExporter(
        provider, max_spans=max_spans, long_wait_ms=100, timeout_s=timeout_s
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
    _export(provider, load(1, "a"), traceparent=TRACEPARENT, tracestate="k=v")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert format(spans["import a"].context.trace_id, "032x") == TRACEPARENT.split("-")[1]
    assert format(spans["python.startup"].parent.span_id, "016x") == TRACEPARENT.split("-")[2]
    assert spans["python.startup"].context.trace_state.get("k") == "v"


@pytest.mark.parametrize("value", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_traceparent_is_none(memory, value):
    """The root then begins a trace of its own."""
    provider, exporter = memory
    _export(provider, load(1, "a"), traceparent=value)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans["python.startup"].parent is None


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
    keys = ["suppress_instrumentation", context._SUPPRESS_INSTRUMENTATION_KEY]
    keys.append(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY)

    class Sender(SpanProcessor):
        def on_end(self, span):
            seen.append([context.get_value(key) for key in keys])

        def force_flush(self, timeout_millis=30000):
            self.on_end(None)
            return True

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Sender())
    assert _export(provider, load(1, "a")).flush(1.0) is True
    assert seen == [[True] * 3] * 3
    assert [context.get_value(key) for key in keys] == [None] * 3


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


def test_ids_follow_from_the_trace(memory):
    """The same trace once more is the same spans, which a collector can tell."""
    provider, exporter = memory
    for _ in range(2):
        _export(provider, load(1, "a"), load(2, "b", parent=1), host="node-1")
    contexts = [span.context for span in exporter.get_finished_spans()]
    assert len(contexts) == 6
    assert len({context.span_id for context in contexts}) == 3
    assert len({context.trace_id for context in contexts}) == 1


def test_ids_of_a_kind_of_their_own_are_left_alone():
    """X-Ray refuses a trace whose id does not begin with the time."""

    class XRay(RandomIdGenerator):
        def generate_trace_id(self):
            return 0x5759E988BD862E3FE1BE46A994272793

    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=XRay(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    _export(provider, load(1, "a"))
    ids = {span.context.trace_id for span in exporter.get_finished_spans()}
    assert ids == {0x5759E988BD862E3FE1BE46A994272793}


def test_exceptions_go_to_the_application_s_logs_where_they_are_to(memory):
    """As log records of their spans; without a LoggerProvider they stay events."""
    provider, exporter = memory
    logs = InMemoryLogRecordExporter()
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    for given in (loggers, None):
        exporter.clear()
        ours = ProviderExporter(
            provider, max_spans=9, long_wait_ms=1, timeout_s=30, exceptions=False, loggers=given
        )
        ours.export(trace(failed(1, "bad"), load(2, "good")))
        (bad,) = [s for s in exporter.get_finished_spans() if s.name == "import bad"]
        assert len(bad.events) == (0 if given else 1)
    (record,) = logs.get_finished_logs()
    assert record.log_record.span_id == bad.context.span_id
    assert record.log_record.event_name == "exception"
    assert record.log_record.attributes["exception.type"] == "ImportError"
    loggers.shutdown()


def test_a_forked_worker_has_a_trace_of_its_own_and_a_link_to_its_master(memory):
    """Whose root span may come much later, or never."""
    provider, exporter = memory
    _export(provider, load(1, "a"), host="node-1", pid=1, start=START)
    (master,) = [s for s in exporter.get_finished_spans() if s.name == "python.startup"]
    exporter.clear()
    forked = {"host": "node-1", "pid": 2, "start": START + 5}
    _export(provider, load(1, "a"), parent_trace={"pid": 1, "start": START}, **forked)
    (worker,) = [s for s in exporter.get_finished_spans() if s.name == "python.startup"]
    (link,) = worker.links
    assert (link.context.trace_id, link.context.span_id) == (
        master.context.trace_id,
        master.context.span_id,
    )
    assert link.attributes["python.import.link"] == "forked_from"
    assert worker.parent is None
    assert worker.context.trace_id != master.context.trace_id
