"""A `Report` as JSON (DESIGN: `reproduce --json`)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from importtrace.race.coverage import coverage

if TYPE_CHECKING:
    from importtrace.race.findings import Report
    from importtrace.race.proof import Proof


def data(report: Report) -> dict[str, Any]:
    """The contract's shape; keys beyond it are for people who want more."""
    return {
        "target": report.target,
        "python": report.python,
        "schedules_run": report.schedules_run,
        "seconds": round(report.seconds, 3),
        "seed": report.seed,
        "failed": report.failed,
        "orders": [
            _without_none(
                {
                    "entries": list(row.entries),
                    "outcome": row.outcome,
                    "cause": row.cause,
                    "message": row.message,
                    "judged": row.judged,
                    "works_after": list(row.works_after) or None,
                    "missing": row.missing,
                    "confirmed": row.confirmed,
                    "stack": [list(frame) for frame in row.stack] or None,
                }
            )
            for row in report.orders
        ],
        "interleavings": [
            _without_none(
                {
                    "schedule": str(proof.schedule),
                    "outcome": proof.result.outcome,
                    "cause": proof.cause,
                    "replayed": proof.text,
                    "confirmed": proof.confirmed,
                    "message": proof.result.message,
                    "by_interpreter": proof.own,
                    "also": _also(proof.other),
                    "elsewhere": [
                        dataclasses.asdict(there) for there in report.elsewhere.get(number, ())
                    ]
                    or None,
                    "threads": [
                        _without_none(
                            {
                                "entry": thread.entry,
                                "outcome": thread.outcome,
                                "error": thread.error,
                                "doing": thread.doing,
                            }
                        )
                        for thread in proof.result.threads
                    ],
                }
            )
            for number, proof in enumerate(report.proofs, start=1)
        ],
        "coverage": coverage(report),
        "notes": report.notes,
    }


def _also(other: Proof | None) -> dict[str, Any] | None:
    """The same ring, where another thread gets the error."""
    if other is None:
        return None
    return {
        "schedule": str(other.schedule),
        "message": other.result.message,
        "replayed": other.text,
        "confirmed": other.confirmed,
        "cause": other.cause,
    }


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None or key == "cause"}
