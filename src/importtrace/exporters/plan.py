"""Which spans a trace becomes; pure, and without OpenTelemetry, so that it can be tested as data.

The first planned span is the process's root; the others are ordered by begin, so that a parent, and
the load that a link points to, comes before the span that names it.

A record is worth a span if it is a load, failed, is a partial hand-out, or waited at least
``long_wait_ms``. Above the budget, failures, hand-outs and waits come first, then the loads they
point to, then the loads that took longest: a parent takes longer than its children, so what is kept
is mostly whole branches. What is folded is counted on its nearest kept ancestor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.analysis.failed import unhandled
from importtrace.exporters.ids import forked_from, root_id, span_ids
from importtrace.exporters.summary import end_ns, summarize

if TYPE_CHECKING:
    from importtrace.records import ImportRecord, Trace

Attributes = dict[str, Any]
ROOT_NAME = "python.startup"
_MAX_BOUND_NAMES = 100
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class PlannedSpan:
    """Times are nanoseconds since the epoch.

    ``id`` is the record's, None for the root; ``parent`` is an ``id``. ``link`` is the id of the
    load that a request met and what it was to it (``waited_for`` or ``built_by``); ``forked_from`` is
    trace and span of the process that this one was forked from. ``exception``
    are the attributes of the exception at the end; ``error`` is the description of status ERROR,
    None where the status stays unset. ``finished`` is False while the load still ran.
    """

    id: int | None
    parent: int | None
    span_id: int
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    finished: bool = True
    link: tuple[int, str] | None = None
    forked_from: tuple[int, int] | None = None
    exception: Attributes | None = None
    error: str | None = None


def plan(trace: Trace, *, max_spans: int, long_wait_ms: int) -> list[PlannedSpan]:
    """At most ``max_spans`` spans, the root included and never folded."""
    long_wait_ns = max(1, long_wait_ms * 1_000_000)
    worth, kept = _worth_and_kept(trace, max_spans, long_wait_ns)
    ids = span_ids(trace.header, trace.records)
    anchors: dict[int, int | None] = {}
    folded: dict[int | None, list[int]] = {}
    for record in trace.records:
        above = None if record.parent is None else anchors.get(record.parent)
        anchors[record.id] = record.id if record.id in kept else above
    for record in worth:
        if record.id not in kept:
            counts = folded.setdefault(anchors[record.id], [0, 0])
            counts[0] += 1
            counts[1] += record.self_ns or 0
    spans = [_root(trace, len(worth) - len(kept))]
    for record in worth:
        if record.id in kept:
            parent = None if record.parent is None else anchors.get(record.parent)
            spans.append(_span(record, ids[record.id], parent, trace, kept, long_wait_ns))
    for span in spans:
        if span.id in folded:
            count, self_ns = folded[span.id]
            span.attributes["python.import.folded.count"] = count
            span.attributes["python.import.folded.self_ms"] = _ms(self_ns)
    return spans


def kept_ids(trace: Trace, *, max_spans: int, long_wait_ms: int) -> dict[int, int]:
    """Record id -> span id, of the records that become spans."""
    _, kept = _worth_and_kept(trace, max_spans, max(1, long_wait_ms * 1_000_000))
    ids = span_ids(trace.header, trace.records)
    return {record: span for record, span in ids.items() if record in kept}


def _worth_and_kept(
    trace: Trace, max_spans: int, long_wait_ns: int
) -> tuple[list[ImportRecord], set[int]]:
    worth = [record for record in trace.records if _worth_seeing(record, long_wait_ns)]
    return worth, _within_budget(worth, max_spans - 1)


def _worth_seeing(record: ImportRecord, long_wait_ns: int) -> bool:
    return (
        record.kind == "load"
        or record.outcome in ("failed", "partial")
        or (record.wait_ns or 0) >= long_wait_ns
    )


def _within_budget(records: list[ImportRecord], budget: int) -> set[int]:
    if len(records) <= budget:
        return {record.id for record in records}
    pointed_at = {record.of for record in records}

    def rank(record: ImportRecord) -> tuple[int, int]:
        if record.outcome == "failed":
            level = 0 if unhandled(record) else 1
        elif record.outcome == "partial":
            level = 2
        elif record.kind == "request":
            level = 3
        else:
            level = 4 if record.id in pointed_at else 5
        return level, -(record.duration_ns or 0)

    return {record.id for record in sorted(records, key=rank)[: max(0, budget)]}


def _root(trace: Trace, folded: int) -> PlannedSpan:
    header, figures = trace.header, summarize(trace)
    attributes = _present(
        {
            "process.pid": header.get("pid"),
            "process.parent_pid": header.get("parent_pid"),
            "process.command": header.get("argv0"),
            "process.runtime.name": str(header.get("implementation", "")).lower() or None,
            "process.runtime.version": header.get("python"),
            "python.startup.modules": figures.modules,
            "python.startup.threads": figures.threads,
            "python.startup.compiled": figures.compiled,
            "python.startup.waits": figures.waits,
            "python.startup.wait_ms": _ms(figures.wait_ns),
            "python.startup.partial": figures.partial,
            "python.startup.failures.handled": figures.handled,
            "python.startup.failures.unhandled": figures.unhandled,
            "python.startup.ready_by": figures.ready_by,
            "python.startup.mode": header.get("mode"),
            "python.import.dropped": figures.dropped,
            "python.import.unreadable": len(trace.problems) or None,
            "python.import.folded.total": folded,
        }
    )
    return PlannedSpan(
        id=None,
        parent=None,
        span_id=root_id(header),
        name=ROOT_NAME,
        start_ns=_instant(trace.start_ns),
        end_ns=_instant(trace.start_ns + max(0, end_ns(trace))),
        attributes=attributes,
        forked_from=forked_from(header),
    )


def _span(
    record: ImportRecord,
    span_id: int,
    parent: int | None,
    trace: Trace,
    kept: set[int],
    long_wait_ns: int,
) -> PlannedSpan:
    start = trace.start_ns + record.start_ns
    attributes = _attributes(record)
    if record.duration_ns is None:
        # still running when the trace was taken; the span ends with what is known
        end = max(start, trace.start_ns + end_ns(trace))
        attributes["python.import.unfinished"] = True
    else:
        end = start + record.duration_ns
    waited = (record.wait_ns or 0) >= long_wait_ns
    link = None
    if record.of is not None and record.of in kept:
        link = (record.of, "waited_for" if record.outcome != "partial" else "built_by")
    exception = error = None
    if record.outcome == "failed":
        details = record.error or {}
        exception = _present(
            {"exception.type": details.get("type"), "exception.message": details.get("message")}
        )
        if unhandled(record):
            attributes["error.type"] = details.get("type") or "_OTHER"
            summary = (record.cause or {}).get("summary") or details.get("message")
            error = _valid(str(summary or details.get("type") or "import failed"))
    if record.kind == "load":
        verb = "import"
    else:
        verb = "partial" if record.outcome == "partial" else "wait" if waited else "request"
    return PlannedSpan(
        id=record.id,
        parent=parent,
        span_id=span_id,
        finished=record.duration_ns is not None,
        name=_valid(f"{verb} {record.module}"),
        start_ns=_instant(start),
        end_ns=_instant(max(start, end)),
        attributes=attributes,
        link=link,
        exception=exception,
        error=error,
    )


def _attributes(record: ImportRecord) -> Attributes:
    importer, cause, bound = record.importer, record.cause, record.bound_names
    root = (cause or {}).get("root") or {}
    return _present(
        {
            "code.file.path": importer and importer.file,
            "code.line.number": importer and importer.line,
            "thread.id": record.thread.id,
            "thread.name": record.thread.name,
            "python.import.module": record.module,
            "python.import.kind": record.kind,
            "python.import.outcome": record.outcome,
            "python.import.handled": record.handled,
            "python.import.implied": record.implied,
            "python.import.reload": record.reload,
            "python.import.importer.module": importer and importer.module,
            "python.import.statement": importer and importer.statement,
            "python.import.names": list(record.names) if record.names else None,
            "python.import.self_ms": _ms(record.self_ns),
            "python.import.find_ms": _ms(record.find_ns),
            "python.import.load_ms": _ms(record.load_ns),
            "python.import.exec_ms": _ms(record.exec_ns),
            "python.import.wait_ms": _ms(record.wait_ns),
            "python.import.origin": record.origin,
            "python.import.loader": record.loader,
            "python.import.finder": record.finder,
            "python.import.bytecode": record.bytecode,
            "python.import.harmless_requests": record.harmless_requests,
            "python.import.held_by": _json(record.held_by),
            "python.import.bound_names": None if bound is None else list(bound[:_MAX_BOUND_NAMES]),
            "python.import.bound_names.count": None if bound is None else len(bound),
            "python.import.cause": _json(cause),
            "python.import.cause.kind": (cause or {}).get("kind"),
            "python.import.cause.summary": (cause or {}).get("summary"),
            "python.import.cause.fingerprint": (cause or {}).get("fingerprint"),
            "python.import.cause.root.module": root.get("module"),
        }
    )


def _instant(nanoseconds: int) -> int:
    return min(max(0, nanoseconds), _INT64 - 1)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1_000_000, 6)


def _present(values: Attributes) -> Attributes:
    # OTLP has no null, and the SDK warns about one
    return {key: _valid(value) for key, value in values.items() if value is not None}


def _valid(value: Any) -> Any:
    # a path that is no UTF-8 (surrogates) would make the encoder refuse the whole batch
    if isinstance(value, list):
        return [_valid(item) for item in value]
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str(value)  # likewise; only a damaged or hostile trace file holds one
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
