"""Planned spans through a TracerProvider: the application's own, in its process.

Needs opentelemetry-api, which a process with a TracerProvider has loaded. Spans carry the recorded
times, and their context is explicit: whatever span is current in this thread is not their parent.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from importtrace.exporters import ids
from importtrace.exporters.plan import PlannedSpan, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from importtrace.records import Trace

SCOPE = "importtrace"
_LINK = "python.import.link"
# Well under the 2,048 spans beyond which the SDK's batch processor drops without a word, since the
# application's own spans share that queue.
CHUNK = 256
# Each release and each instrumentation asks for another of these.
_SUPPRESSING = (
    "_SUPPRESS_INSTRUMENTATION_KEY",
    "_SUPPRESS_HTTP_INSTRUMENTATION_KEY",
)


class ProviderExporter:
    """Spans through ``provider``, which belongs to the application and is flushed, never shut down.

    Whether the application's exporter delivers them, only its provider knows and logs.
    ``exceptions`` is whether a failure gets an exception event; with ``loggers``, the application's
    LoggerProvider, it gets a log record.
    """

    def __init__(
        self,
        provider: otel.TracerProvider,
        *,
        max_spans: int,
        long_wait_ms: int,
        timeout_s: float,
        exceptions: bool = True,
        loggers: Any = None,
    ) -> None:
        self.loss: str | None = None
        self._provider = provider
        self._logger = _logger(loggers)
        self._max_spans = max_spans
        self._long_wait_ms = long_wait_ms
        # where there are no logs to go to, an exception is not lost but stays where it was
        self._exceptions = exceptions or self._logger is None
        self._deadline = time.monotonic() + timeout_s

    def export(self, trace: Trace) -> None:
        spans = plan(trace, max_spans=self._max_spans, long_wait_ms=self._long_wait_ms)
        with uninstrumented():
            self._emit(trace, spans)

    def _emit(self, trace: Trace, spans: list[PlannedSpan]) -> None:
        tracer = self._provider.get_tracer(SCOPE, version())
        made = emit(tracer, trace.header, spans, exceptions=self._exceptions)
        for done, pair in enumerate(made, start=1):
            if self._logger is not None:
                from importtrace.exporters.exceptions import log_exceptions

                log_exceptions(self._logger, [pair])
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
        with uninstrumented():
            return left > 0 and force_flush(int(left * 1000)) is not False


def _logger(provider: Any) -> Any:
    """Ours; None where the application has no logs, or its API is too old to take an exception."""
    if provider is None:
        return None
    from importtrace.exporters.exceptions import can_log

    logger = provider.get_logger(SCOPE, version())
    return logger if can_log(logger) else None


@contextmanager
def uninstrumented() -> Iterator[None]:
    """An instrumented HTTP client makes no spans of the requests that carry ours."""
    context = otel_context.set_value("suppress_instrumentation", True)
    for name in _SUPPRESSING:
        key = getattr(otel_context, name, None)
        if key is not None:
            context = otel_context.set_value(key, True, context)
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def emit(
    tracer: otel.Tracer,
    header: Mapping[str, Any],
    spans: list[PlannedSpan],
    *,
    exceptions: bool = True,
    losses: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[tuple[PlannedSpan, otel.Span]]:
    """Make and end each span, yielding it, the root last; nothing if the sampler does not want it.

    ``losses`` is asked, before the root ends, what it is to say of what became of the others. A link
    to a span that the sampler did not want is left out.
    """
    given = ids_of(tracer, header)
    contexts: dict[int | None, otel_context.Context] = {}
    root = None
    for planned in spans:
        links = []
        if planned.link is not None and planned.link[0] in contexts:
            target = otel.get_current_span(contexts[planned.link[0]]).get_span_context()
            links.append(otel.Link(target, {_LINK: planned.link[1]}))
        if planned.forked_from is not None and has_our_ids(tracer):
            # its own trace, since one process start is one: workers come and go for weeks
            links.append(otel.Link(_elsewhere(planned.forked_from), {_LINK: "forked_from"}))
        given.span_id = planned.span_id
        span = tracer.start_span(
            planned.name,
            context=parent_context(header) if planned.id is None else contexts[planned.parent],
            attributes=planned.attributes,
            links=links,
            start_time=planned.start_ns,
        )
        if planned.id is None and not span.is_recording():
            return
        contexts[planned.id] = otel.set_span_in_context(span, otel_context.Context())
        if planned.exception is not None and exceptions:
            span.add_event("exception", planned.exception, timestamp=planned.end_ns)
        if planned.error is not None:
            span.set_status(otel.Status(otel.StatusCode.ERROR, planned.error))
        if planned.id is None:
            root = planned, span  # ends last, as it would if it had been made while it lasted
            continue
        span.end(planned.end_ns)
        yield planned, span
    if root is not None:
        if losses is not None:
            root[1].set_attributes(losses())
        root[1].end(root[0].end_ns)
        yield root


def _elsewhere(ids: tuple[int, int]) -> otel.SpanContext:
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED)
    return otel.SpanContext(ids[0], ids[1], is_remote=True, trace_flags=flags)


class Ids:
    """An id generator in the SDK's sense, that gives the ids which it was told to give."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._trace_id = ids.trace_id(header)
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        return self.span_id

    def is_trace_id_random(self) -> bool:
        return True  # as good as: a hash


def ids_of(tracer: otel.Tracer, header: Mapping[str, Any]) -> Ids:
    """Our ids for what ``tracer``, which is ours alone, makes; unused where they do not suit."""
    given = Ids(header)
    if has_our_ids(tracer):
        tracer.id_generator = given  # type: ignore[attr-defined]  # the SDK's has one, the API's not
    return given


def has_our_ids(provider: Any) -> bool:
    """Whether spans of this provider, or tracer, get our ids.

    Not if it is no SDK's; nor if its ids are of a kind of their own (X-Ray's hold a time).
    """
    return type(getattr(provider, "id_generator", None)).__name__ in ("RandomIdGenerator", "Ids")


def parent_context(header: Mapping[str, Any]) -> otel_context.Context:
    """The span context in the header's ``traceparent`` and ``tracestate``; an empty one without."""
    carrier = {key: str(header[key]) for key in ("traceparent", "tracestate") if header.get(key)}
    return TraceContextTextMapPropagator().extract(carrier, context=otel_context.Context())


def version() -> str | None:
    """Our own version, where installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("importtrace")
    except PackageNotFoundError:
        return None
