"""Failures as log records of OpenTelemetry, where OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN asks for it.

Each belongs to its span. ERROR where nobody handled the exception; DEBUG where somebody did, since
an optional dependency that is not there is everyday.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as otel
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from importtrace.exporters.plan import PlannedSpan
    from importtrace.records import Trace

EVENT = "exception"


def can_log(logger: Any) -> bool:
    """Whether this release of the logs API takes an event's name; it was not stable until then."""
    return "event_name" in inspect.signature(logger.emit).parameters


def log_exceptions(logger: Any, made: Iterable[tuple[PlannedSpan, otel.Span]]) -> int:
    """A record for each span of a failure; how many."""
    count = 0
    for planned, span in made:
        if planned.exception is None:
            continue
        handled = planned.error is None
        logger.emit(
            timestamp=planned.end_ns,
            observed_timestamp=planned.end_ns,
            context=otel.set_span_in_context(span, Context()),
            severity_number=SeverityNumber.DEBUG if handled else SeverityNumber.ERROR,
            severity_text="DEBUG" if handled else "ERROR",
            body=planned.error or planned.exception.get("exception.message"),
            attributes=planned.exception | _where(planned.attributes),
            event_name=EVENT,
        )
        count += 1
    return count


def send(
    trace: Trace, made: list[tuple[PlannedSpan, Any]], environ: Mapping[str, str], timeout_s: float
) -> str | None:
    """By OTLP, from a process that sends; what was lost, in one line, or None."""
    from opentelemetry.sdk._logs import LoggerProvider

    from importtrace.exporters.opentelemetry import SCOPE, uninstrumented, version
    from importtrace.exporters.otlp import make_exporter, resource

    exporter = make_exporter(environ, timeout_s, signal="LOGS")
    kept = _Kept()
    provider = LoggerProvider(resource=resource(trace), shutdown_on_exit=False)
    provider.add_log_record_processor(kept)  # type: ignore[arg-type]  # its base moves about
    logger = provider.get_logger(SCOPE, version())
    if not can_log(logger):
        return "exceptions not sent as logs: this opentelemetry-sdk is too old for it; upgrade it"
    spans = [(planned, otel.NonRecordingSpan(span.context)) for planned, span in made]
    count = log_exceptions(logger, spans)
    with uninstrumented():
        result = exporter.export(kept.records) if kept.records else None
        exporter.shutdown()
    if result is not None and getattr(result, "name", "") != "SUCCESS":
        return f"{count} exceptions not sent as logs"
    return None


class _Kept:
    """A log record processor that keeps what is emitted, as exporters take it."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        from opentelemetry.sdk._logs import ReadableLogRecord

        self.records.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource,
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _where(attributes: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "code.file.path",
        "code.line.number",
        "thread.id",
        "thread.name",
        "python.import.module",
        "python.import.handled",
        "python.import.cause.kind",
        "python.import.cause.fingerprint",
    )
    return {key: attributes[key] for key in keys if key in attributes}
