"""Spans by OTLP through a provider of our own, set up by the standard OTEL_* variables.

Imports the SDK and an exporter (100 to 150 ms, 150 modules), so it runs in a process that sends
(``sender``, ``importtrace ship``), never in the traced one. There is no queue: finished spans go to
the exporter in chunks, and each chunk's result is looked at.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from importtrace.errors import ImportTraceError, MissingDependencyError
from importtrace.exporters import environment
from importtrace.exporters.ids import identity
from importtrace.exporters.opentelemetry import SCOPE, emit, uninstrumented, version
from importtrace.exporters.plan import PlannedSpan, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from importtrace.exporters.answers import Answers
    from importtrace.records import Trace

CHUNK = 512
# signal: module and class, the same of either protocol
_EXPORTERS = {
    "TRACES": ("trace_exporter", "OTLPSpanExporter"),
    "METRICS": ("metric_exporter", "OTLPMetricExporter"),
    "LOGS": ("_log_exporter", "OTLPLogExporter"),
}
_CREDENTIALS = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
)


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
        self.failures: list[
            tuple[PlannedSpan, ReadableSpan]
        ] = []  # the spans that have an exception
        self._exporter = exporter
        self._environ = environ
        self._max_spans = max_spans
        self._long_wait_ms = long_wait_ms

    def export(self, trace: Trace) -> None:
        """Stops at the first chunk that the exporter, after its own retries, reports as failed."""
        spans = plan(trace, max_spans=self._max_spans, long_wait_ms=self._long_wait_ms)
        self.total = len(spans)
        chunk: list[ReadableSpan] = []
        events, _ = environment.exception_signals(self._environ)
        for planned, span in readable(trace, spans, exceptions=events):
            if planned.exception is not None:
                self.failures.append((planned, span))
            chunk.append(span)
            if len(chunk) == CHUNK:
                if not self._send(chunk):
                    return
                chunk = []
        self._send(chunk)

    def flush(self, timeout_s: float) -> bool:
        return self.loss is None and self._exporter.force_flush(int(timeout_s * 1000)) is not False

    def close(self) -> None:
        self._exporter.shutdown()

    def _send(self, chunk: list[ReadableSpan]) -> bool:
        try:
            with uninstrumented():
                if not chunk or self._exporter.export(chunk) is SpanExportResult.SUCCESS:
                    self.sent += len(chunk)
                    return True
            self.loss = "the exporter gave up"
        except Exception as error:  # older exporters raise what they do not retry
            self.loss = f"{type(error).__name__}: {error}"
        return False


def readable(
    trace: Trace,
    spans: list[PlannedSpan],
    *,
    exceptions: bool = True,
    losses: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[tuple[PlannedSpan, ReadableSpan]]:
    """The planned spans as the SDK's exporters take them, the root last; none if it is not sampled.

    Sampler and limits are those of the OTEL_* variables; the rest is as for ``emit``.
    """
    finished = _Finished()
    # shutdown_on_exit: this provider holds nothing, and atexit is the program's
    provider = TracerProvider(resource=resource(trace), shutdown_on_exit=False)
    provider.add_span_processor(finished)
    tracer = provider.get_tracer(SCOPE, version())
    made = emit(tracer, trace.header, spans, exceptions=exceptions, losses=losses)
    for planned, _ in made:
        span = finished.take()
        if span is not None:
            yield planned, span


class _Finished(SpanProcessor):
    """Keeps the span that ended last, if it is sampled, until it is taken."""

    def __init__(self) -> None:
        self._span: ReadableSpan | None = None

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._span = span

    def take(self) -> ReadableSpan | None:
        taken, self._span = self._span, None
        return taken


def make_exporter(
    environ: Mapping[str, str],
    timeout_s: float,
    answers: Answers | None = None,
    signal: str = "TRACES",
) -> Any:
    """The OTLP exporter that ``environ`` asks for; it reads endpoint, headers and the rest itself.

    ``timeout_s`` bounds a request where no variable does; ``answers`` hears what is answered over
    HTTP; ``signal`` is a key of ``_EXPORTERS``. Raises MissingDependencyError, or ImportTraceError for
    a protocol that it cannot speak.
    """
    protocol = environment.protocol(environ, signal)
    if protocol not in ("http/protobuf", "grpc"):
        raise ImportTraceError(
            f"OTLP protocol {protocol!r} is not supported; "
            "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or grpc"
        )
    transport = protocol.partition("/")[0]
    module, name = _EXPORTERS[signal]
    try:
        exporters = import_module(f"opentelemetry.exporter.otlp.proto.{transport}.{module}")
    except ImportError as error:
        raise MissingDependencyError(
            f"cannot import the OTLP exporter for {protocol} ({error}); "
            f"pip install opentelemetry-exporter-otlp-proto-{transport}"
        ) from error
    make = getattr(exporters, name)
    timeout = _request_timeout(environ, signal, timeout_s)
    if protocol == "grpc":
        _allow_no_compression(signal)
        return make(timeout=timeout)
    return make(timeout=timeout, session=_session(environ, answers))


def _allow_no_compression(signal: str) -> None:
    """``none`` is a value of the specification's that the SDK's gRPC exporters refuse."""
    for name in ("OTEL_EXPORTER_OTLP_COMPRESSION", f"OTEL_EXPORTER_OTLP_{signal}_COMPRESSION"):
        if os.environ.get(name, "").strip().lower() == "none":
            del os.environ[name]  # of a process that does nothing but send


def _request_timeout(environ: Mapping[str, str], signal: str, timeout_s: float) -> int | None:
    """Seconds, or None where a variable says how many."""
    given = (f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(environ.get(name) for name in given) else max(1, int(timeout_s))


def _session(environ: Mapping[str, str], answers: Answers | None) -> Any:
    """A session that lets ``answers`` hear; None, for the exporter's own, where that one matters."""
    if answers is None or any(environ.get(name) for name in _CREDENTIALS):
        return None
    try:
        import requests
    except ImportError:  # the exporter may come to use another library
        return None
    session = requests.Session()
    session.hooks["response"].append(answers.hear)
    return session


def resource(trace: Trace) -> Resource:
    """The traced process, not this one, on top of the variables and resource detectors."""
    header = trace.header
    described = {
        # so that all that is sent of one process, by whomever, is of one instance
        "service.instance.id": str(UUID(bytes=identity(header)[:16], version=5)),
        **_plain(header.get("resource")),
        "process.pid": header.get("pid"),
        "process.runtime.name": str(header.get("implementation", "")).lower() or None,
        "process.runtime.version": header.get("python"),
    }
    return Resource.create({k: v for k, v in described.items() if v is not None})


def _plain(given: Any) -> dict[str, str | int]:
    """A trace file may hold anything."""
    pairs = given.items() if isinstance(given, dict) else ()
    return {k: v for k, v in pairs if isinstance(k, str) and type(v) in (str, int)}
