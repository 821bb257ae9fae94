"""Which records of failed imports are told: one for each exception. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from importtrace.records import ImportRecord


def failures(records: Iterable[ImportRecord]) -> list[ImportRecord]:
    """One record for each failure, in order: the innermost load it left, or the one with a cause.

    An exception that leaves five bodies fails five loads; four of them only passed it on.
    """
    failed = [record for record in records if record.outcome == "failed"]
    by_id = {record.id: record for record in failed}
    passed_on = set()
    for record in failed:
        around = by_id.get(record.parent) if record.parent is not None else None
        if around is not None and around.error == record.error:
            # a request's failed statement is told where the load's cause is
            told = around.cause is not None and record.cause is None and record.kind == "request"
            passed_on.add(record.id if told else around.id)
    return [record for record in failed if record.cause is not None or record.id not in passed_on]


def unhandled(record: ImportRecord) -> bool:
    """Whether a failed import is known not to have been caught, so that it is worth an error.

    Of a load under an unfinished body it is not known yet. A request that failed is a statement
    outside any load that failed; where nothing is said of it, nobody is known to have caught it.
    """
    return record.handled is False or (record.handled is None and record.kind == "request")
