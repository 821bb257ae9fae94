"""Which span a log event belongs to, so that a log line leads to its trace and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importtrace.exporters import ids
from importtrace.exporters.plan import kept_ids

if TYPE_CHECKING:
    from importtrace.records import ImportRecord, Trace


class Correlation:
    """``trace_id`` and ``span_id``, in the hexadecimal form that OpenTelemetry prescribes for logs.

    ``new`` is False for what is delivered after the spans went out: it has a trace, and no span.
    """

    def __init__(self, trace: Trace, *, max_spans: int, long_wait_ms: int, new: bool) -> None:
        self._header = trace.header
        self._kept: dict[int, int] = {}
        if new:
            self._kept = kept_ids(trace, max_spans=max_spans, long_wait_ms=long_wait_ms)

    def of(self, record: ImportRecord | None) -> dict[str, str]:
        """The fields for an event about ``record``, None being the whole start-up."""
        fields = {"trace_id": format(ids.trace_id(self._header), "032x")}
        span = ids.root_id(self._header) if record is None else self._kept.get(record.id)
        if span is not None:
            fields["span_id"] = format(span, "016x")
        return fields
