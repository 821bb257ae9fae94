"""A trace as log events; pure. Names and fields are a contract: docs/logs.md.

No field is called ``module``, ``name``, ``thread``, ``message``, ``process`` or ``args``: structlog
set-ups that end in the standard library pass fields as ``extra``, and logging refuses those names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from importtrace.analysis.failed import failures, unhandled
from importtrace.exporters.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from importtrace.records import ImportRecord, Trace

    Correlate = Callable[[ImportRecord | None], dict[str, str]]

FAILED = "import.failed"
FAILED_HANDLED = "import.failed_handled"
LONG_WAIT = "import.long_wait"
PARTIAL = "import.partial"
LOADED = "import.loaded"
STARTUP = "import.startup"


class Event(NamedTuple):
    """``level`` is error, warning, info or debug; a field that does not apply is absent.

    ``at_ns`` is when the record began, None for the summary and for what no record stands for.
    """

    level: str
    name: str
    fields: dict[str, Any]
    at_ns: int | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Tells it from all others of its process, in every snapshot: a later one numbers anew."""
        fields = self.fields
        # without a time: the same failure of another thread, or of another module, is another one
        place = self.at_ns or (fields.get("fingerprint"), fields.get("thread_id"))
        return self.name, fields.get("module_name"), place


def events(
    trace: Trace, *, debug: bool, long_wait_ms: int, correlate: Correlate | None = None
) -> list[Event]:
    """What there is to say of a trace: what happened, in order, then the summary.

    Of what is still under way, nothing: a later snapshot of the same process will tell.
    ``correlate`` gives the fields that name a record's span, or (None) that of the whole start-up.
    """
    correlate = correlate or _uncorrelated
    happenings = _happenings(trace.records, debug, long_wait_ms, correlate)
    outside = _outside_of_loads(trace, correlate(None))
    return [*happenings, *outside, _summary(trace, correlate(None))]


def _uncorrelated(record: ImportRecord | None) -> dict[str, str]:
    return {}


def _happenings(
    records: tuple[ImportRecord, ...], debug: bool, long_wait_ms: int, correlate: Correlate
) -> Iterator[Event]:
    explained = {record.id for record in failures(records)}
    for record in records:
        where = _where(record) | correlate(record)
        if (record.wait_ns or 0) >= max(1, long_wait_ms * 1_000_000):
            yield Event("warning", LONG_WAIT, where | _waited(record), record.start_ns)
        if record.id in explained:
            if unhandled(record):
                yield Event("error", FAILED, where | _failure(record), record.start_ns)
            elif debug and record.handled:
                yield Event("debug", FAILED_HANDLED, where | _failure(record), record.start_ns)
        elif debug and record.outcome == "partial":
            yield Event("debug", PARTIAL, where | _handed_out(record), record.start_ns)
        elif debug and record.kind == "load" and record.outcome in ("ok", "waited"):
            yield Event("debug", LOADED, where | _loaded(record), record.start_ns)


def _outside_of_loads(trace: Trace, correlation: dict[str, str]) -> Iterator[Event]:
    """Failed statements of the entry script or a thread, which no record stands for; none was caught."""
    for cause in trace.header.get("failures") or ():
        chain = cause.get("chain") or [{}]
        at = chain[-1]
        thread = at.get("thread") or {}
        fields = _present(
            module_name=cause.get("module"),
            thread_id=thread.get("id"),
            thread_name=thread.get("name"),
            file=at.get("file"),
            line=at.get("line"),
            statement=at.get("statement"),
        )
        root = cause.get("root") or {}
        here = all(root.get(key) == at.get(key) for key in ("file", "line"))
        error = {"type": root.get("type")} if here else {}
        yield Event("error", FAILED, fields | _explained(cause, error) | correlation)


def _where(record: ImportRecord) -> dict[str, Any]:
    importer = record.importer
    return _present(
        module_name=record.module,
        thread_id=record.thread.id,
        thread_name=record.thread.name,
        file=importer and importer.file,
        line=importer and importer.line,
        statement=importer and importer.statement,
    )


def _failure(record: ImportRecord) -> dict[str, Any]:
    return _explained(record.cause or {}, record.error or {})


def _explained(cause: dict[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    return _present(
        error_type=error.get("type"),
        error_message=error.get("message") or cause.get("message"),
        cause_kind=cause.get("kind"),
        summary=cause.get("summary"),
        hint=cause.get("hint"),
        root=cause.get("root"),
        chain=cause.get("chain"),
        fingerprint=cause.get("fingerprint"),
        cause=cause or None,
    )


def _waited(record: ImportRecord) -> dict[str, Any]:
    return _present(
        wait_ms=_ms(record.wait_ns),
        import_outcome=record.outcome,
        held_by=record.held_by,
    )


def _handed_out(record: ImportRecord) -> dict[str, Any]:
    bound = record.bound_names
    return _present(
        held_by=record.held_by,
        names=list(record.names) if record.names else None,
        bound_count=None if bound is None else len(bound),
    )


def _loaded(record: ImportRecord) -> dict[str, Any]:
    return _present(
        duration_ms=_ms(record.duration_ns),
        self_ms=_ms(record.self_ns),
        origin=record.origin,
        bytecode=record.bytecode,
        implied=record.implied,
        reload=record.reload,
    )


def _summary(trace: Trace, correlation: dict[str, str]) -> Event:
    figures = summarize(trace)
    header = trace.header
    fields = _present(
        modules=figures.modules,
        total_ms=_ms(figures.total_ns),
        import_ms=_ms(figures.import_ns),
        slowest=[
            {"module": record.module, "self_ms": _ms(record.self_ns or 0)}
            for record in figures.slowest
        ],
        threads=figures.threads,
        compiled=figures.compiled,
        waits=figures.waits,
        wait_ms=_ms(figures.wait_ns),
        partial=figures.partial,
        failures_handled=figures.handled,
        failures_unhandled=figures.unhandled,
        dropped=figures.dropped,
        ready_by=figures.ready_by,
        mode=header.get("mode"),
        not_observed=header.get("not_observed") or None,
    )
    return Event("info", STARTUP, fields | correlation)


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1_000_000, 3)


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
