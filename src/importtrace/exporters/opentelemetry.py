"""Planned spans through a TracerProvider: the application's own, in its process.

Needs opentelemetry-api, which a process with a TracerProvider has loaded. Spans carry the recorded
times, and their context is explicit: whatever span is current in this thread is not their parent.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from importtrace.exporters.plan import PlannedSpan, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from importtrace.records import Trace

SCOPE = "importtrace"
# Well under the 2,048 spans beyond which the SDK's batch processor drops without a word, since the
# application's own spans share that queue.
CHUNK = 256


class ProviderExporter:
    """Spans through ``provider``, which belongs to the application and is flushed, never shut down.

    Whether the application's exporter delivers them, only its provider knows and logs.
    """

    def __init__(
        self,
        provider: otel.TracerProvider,
        environ: Mapping[str, str],
        *,
        max_spans: int,
        long_wait_ms: int,
        timeout_s: float,
    ) -> None:
        self.loss: str | None = None
        self._provider = provider
        self._environ = environ
        self._max_spans = max_spans
        self._long_wait_ms = long_wait_ms
        self._deadline = time.monotonic() + timeout_s

    def export(self, trace: Trace) -> None:
        spans = plan(trace, max_spans=self._max_spans, long_wait_ms=self._long_wait_ms)
        with _uninstrumented():
            self._emit(spans)

    def _emit(self, spans: list[PlannedSpan]) -> None:
        tracer = self._provider.get_tracer(SCOPE, version())
        for done, _ in enumerate(emit(tracer, spans, parent_context(self._environ)), start=1):
            if done % CHUNK == 0 and not self._flush_until(self._deadline):
                self.loss = (
                    f"{len(spans) - done} of {len(spans)} spans not handed to the application's "
                    "TracerProvider: it did not flush, or not in time; raise "
                    "IMPORTTRACE_EXPORT_TIMEOUT_S or lower IMPORTTRACE_MAX_SPANS"
                )
                return

    def flush(self, timeout_s: float) -> bool:
        if self.loss is None and not self._flush_until(time.monotonic() + timeout_s):
            self.loss = (
                f"the application's TracerProvider did not flush within {timeout_s:g} s; spans of "
                "the start-up may be missing; see its own messages"
            )
        return self.loss is None

    def close(self) -> None:
        pass

    def _flush_until(self, deadline: float) -> bool:
        force_flush = getattr(self._provider, "force_flush", None)  # not part of the API
        left = deadline - time.monotonic()
        if force_flush is None:
            return True
        with _uninstrumented():
            return left > 0 and force_flush(int(left * 1000)) is not False


@contextmanager
def _uninstrumented() -> Iterator[None]:
    """An instrumented HTTP client makes no spans of the requests that carry ours."""
    token = otel_context.attach(otel_context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        otel_context.detach(token)


def emit(
    tracer: otel.Tracer, spans: list[PlannedSpan], context: otel_context.Context
) -> Iterator[otel.Span]:
    """Make and end each span, yielding it; nothing if the sampler does not want the root."""
    contexts: dict[int | None, otel_context.Context] = {}
    for planned in spans:
        links = []
        if planned.link is not None and planned.link[0] in contexts:
            target = otel.get_current_span(contexts[planned.link[0]]).get_span_context()
            links.append(otel.Link(target, {"python.import.link": planned.link[1]}))
        span = tracer.start_span(
            planned.name,
            context=context if planned.id is None else contexts[planned.parent],
            attributes=planned.attributes,
            links=links,
            start_time=planned.start_ns,
        )
        if planned.id is None and not span.is_recording():
            return
        contexts[planned.id] = otel.set_span_in_context(span, otel_context.Context())
        if planned.exception is not None:
            span.add_event("exception", planned.exception, timestamp=planned.end_ns)
        if planned.error is not None:
            span.set_status(otel.Status(otel.StatusCode.ERROR, planned.error))
        span.end(planned.end_ns)
        yield span


def parent_context(environ: Mapping[str, str]) -> otel_context.Context:
    """The span context in TRACEPARENT and TRACESTATE; an empty one if absent or malformed."""
    carrier = {
        key: environ[key.upper()] for key in ("traceparent", "tracestate") if key.upper() in environ
    }
    return TraceContextTextMapPropagator().extract(carrier, context=otel_context.Context())


def version() -> str | None:
    """Our own version, where installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("importtrace")
    except PackageNotFoundError:
        return None
