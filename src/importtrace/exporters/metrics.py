"""A start-up as metrics: through the application's MeterProvider, or by OTLP from a sending process.

One start is one measurement, so that a fleet's starts add up. No attribute names a module: their
number has no bound. Buckets are seconds; the SDK's defaults are for milliseconds of requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.analysis.failed import failures, unhandled
from importtrace.exporters.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from importtrace.records import Trace

STARTUP_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
IMPORT_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


def measure(meter: Any, trace: Trace) -> None:
    """Record the start-up of ``trace``; what was imported later is not part of it."""
    figures = summarize(trace)
    ready = trace.header.get("ready_ns")
    records = [r for r in trace.records if ready is None or r.start_ns <= ready]
    outcome = "failed" if figures.unhandled else "ok"
    _histogram(
        meter, "python.startup.duration", "From the begin of tracing to readiness", STARTUP_BUCKETS
    ).record(figures.total_ns / 1e9, {"python.startup.outcome": outcome})

    own = _histogram(
        meter,
        "python.import.duration",
        "Own time of one import, without what it imports",
        IMPORT_BUCKETS,
    )
    waits = _histogram(
        meter,
        "python.import.wait.duration",
        "Time blocked on another thread's import",
        IMPORT_BUCKETS,
    )
    loads: dict[tuple[tuple[str, str], ...], int] = {}
    for record in records:
        if record.wait_ns:
            waits.record(record.wait_ns / 1e9)
        if record.kind != "load" or record.duration_ns is None:
            continue
        labels: dict[str, str] = {"python.import.outcome": record.outcome or "ok"}
        if record.self_ns is not None:
            own.record(record.self_ns / 1e9, labels)
        if record.bytecode is not None:
            labels["python.import.bytecode"] = record.bytecode
        key = tuple(labels.items())
        loads[key] = loads.get(key, 0) + 1
    counter = meter.create_counter("python.import.count", "{import}", "Modules loaded")
    for key, count in loads.items():
        counter.add(count, dict(key))
    failed = meter.create_counter("python.import.failures", "{failure}", "Imports that failed")
    for record in failures(records):
        tags: dict[str, str] = {}
        if record.handled is not None or unhandled(record):
            tags["python.import.handled"] = "false" if unhandled(record) else "true"
        if (record.cause or {}).get("kind"):
            tags["python.import.cause.kind"] = str((record.cause or {})["kind"])
        failed.add(1, tags)
    for name, unit, text, value in (
        ("python.import.handouts", "{handout}", "Half-built modules handed out", figures.partial),
        ("python.import.compiled", "{import}", "Modules compiled from source", figures.compiled),
        ("python.import.dropped", "{record}", "Records there was no room for", figures.dropped),
    ):
        meter.create_counter(name, unit, text).add(value)


def _histogram(meter: Any, name: str, description: str, buckets: tuple[float, ...]) -> Any:
    try:
        return meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=buckets
        )
    except TypeError:  # before 1.30 of the API
        return meter.create_histogram(name, "s", description)


def send(trace: Trace, environ: Mapping[str, str], timeout_s: float) -> str | None:
    """By OTLP, from a process that sends; what was lost, in one line, or None."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from importtrace.exporters.opentelemetry import SCOPE, uninstrumented, version
    from importtrace.exporters.otlp import make_exporter, resource

    exporter = make_exporter(environ, timeout_s, signal="METRICS")
    # what a periodic reader asks its exporter for, so that OTEL_EXPORTER_OTLP_METRICS_* hold
    reader = InMemoryMetricReader(
        preferred_temporality=exporter._preferred_temporality,
        preferred_aggregation=exporter._preferred_aggregation,
    )
    provider = MeterProvider([reader], resource=resource(trace), shutdown_on_exit=False)
    measure(provider.get_meter(SCOPE, version() or ""), trace)
    data = reader.get_metrics_data()
    with uninstrumented():
        result = exporter.export(data) if data is not None else None
        exporter.shutdown()
    if getattr(result, "name", "SUCCESS") != "SUCCESS":
        return "metrics not sent"
    return None
