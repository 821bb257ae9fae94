"""Spans by OTLP through a provider of our own, set up by the standard OTEL_* variables.

Imports the SDK and an exporter (100 to 150 ms, 150 modules), so it runs in a child process
(``ship``), never in the traced one. There is no queue: finished spans go to the exporter in chunks,
and each chunk's result is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from importtrace.errors import ImportTraceError, MissingDependencyError
from importtrace.exporters import environment
from importtrace.exporters.opentelemetry import SCOPE, emit, parent_context, version
from importtrace.exporters.plan import plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from importtrace.records import Trace

CHUNK = 512


class OtlpExporter:
    """Sends one trace through ``exporter``; ``sent`` and ``total`` count spans as it goes on."""

    def __init__(
        self,
        exporter: SpanExporter,
        environ: Mapping[str, str],
        *,
        max_spans: int,
        long_wait_ms: int,
    ) -> None:
        self.loss: str | None = None
        self.sent = 0
        self.total = 0
        self._exporter = exporter
        self._environ = environ
        self._max_spans = max_spans
        self._long_wait_ms = long_wait_ms

    def export(self, trace: Trace) -> None:
        """Stops at the first chunk that the exporter, after its own retries, reports as failed."""
        finished = _Finished()
        # shutdown_on_exit: this provider holds nothing, and atexit is the program's
        provider = TracerProvider(resource=_resource(trace), shutdown_on_exit=False)
        provider.add_span_processor(finished)
        spans = plan(trace, max_spans=self._max_spans, long_wait_ms=self._long_wait_ms)
        self.total = len(spans)
        context = parent_context(self._environ)
        for made, _ in enumerate(emit(provider.get_tracer(SCOPE, version()), spans, context), 1):
            if (made % CHUNK == 0 or made == len(spans)) and not self._send(finished.take()):
                return

    def flush(self, timeout_s: float) -> bool:
        return self.loss is None and self._exporter.force_flush(int(timeout_s * 1000)) is not False

    def close(self) -> None:
        self._exporter.shutdown()

    def _send(self, chunk: list[ReadableSpan]) -> bool:
        try:
            if not chunk or self._exporter.export(chunk) is SpanExportResult.SUCCESS:
                self.sent += len(chunk)
                return True
            self.loss = "the exporter gave up"
        except Exception as error:  # older exporters raise what they do not retry
            self.loss = f"{type(error).__name__}: {error}"
        return False


class _Finished(SpanProcessor):
    """Keeps finished sampled spans until they are taken."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        taken, self._spans = self._spans, []
        return taken


def make_exporter(environ: Mapping[str, str], timeout_s: float) -> SpanExporter:
    """The OTLP exporter that ``environ`` asks for; it reads endpoint, headers and the rest itself.

    ``timeout_s`` bounds a request where no variable does. Raises MissingDependencyError, or
    ImportTraceError for a protocol that it cannot speak.
    """
    protocol = environment.protocol(environ)
    given = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    timeout = None if any(environ.get(name) for name in given) else max(1, int(timeout_s))
    try:
        if protocol == "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
                OTLPSpanExporter as HttpExporter,
            )

            return HttpExporter(timeout=timeout)
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
                OTLPSpanExporter as GrpcExporter,
            )

            return GrpcExporter(timeout=timeout)
    except ImportError as error:
        package = "opentelemetry-exporter-otlp-proto-" + protocol.partition("/")[0]
        raise MissingDependencyError(
            f"cannot import the OTLP exporter for {protocol} ({error}); pip install {package}"
        ) from error
    raise ImportTraceError(
        f"OTLP protocol {protocol!r} is not supported; "
        "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or grpc"
    )


def _resource(trace: Trace) -> Resource:
    """OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, and the traced process, not this one."""
    header = trace.header
    process = {
        "process.pid": header.get("pid"),
        "process.runtime.name": str(header.get("implementation", "")).lower() or None,
        "process.runtime.version": header.get("python"),
    }
    return Resource.create({key: value for key, value in process.items() if value is not None})
