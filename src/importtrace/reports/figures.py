"""A trace's figures as plain data, for ``report --format json``. Times are nanoseconds.

The tree is a flat list in tree order with a ``depth`` each, so that no reader's recursion limit
matters. Keys that do not apply are absent (docs/cli.md lists them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.analysis import tree
from importtrace.reports import standing

if TYPE_CHECKING:
    from importtrace.records import ImportRecord, Trace


def figures(trace: Trace, name: str) -> dict[str, Any]:
    """One JSON object for one trace; ``name`` is how the caller named it."""
    found = tree.analyse(trace)
    return {
        "trace": name,
        "header": trace.header,
        "problems": list(trace.problems),
        "totals": {
            "modules": len(found.tree),
            "threads": len(found.threads),
            "elapsed_ns": found.elapsed_ns,
            "importing_ns": found.importing_ns,
            "work_ns": found.work_ns,
            "wait_ns": found.wait_ns,
            "failed": found.failed,
            "handled": found.handled,
            "handed_out": found.handed_out,
            "compiled": found.compiled,
        },
        "threads": [
            {
                "thread": one.thread.to_dict(),
                "modules": one.loads,
                "failed": one.failed,
                "total_ns": one.total_ns,
                "self_ns": one.self_ns,
                "wait_ns": one.wait_ns,
                "first_ns": one.first_ns,
                "last_ns": one.last_ns,
            }
            for one in found.threads
        ],
        "distributions": [
            {
                "name": one.name,
                **({"version": one.version} if one.version is not None else {}),
                "modules": one.loads,
                "self_ns": one.self_ns,
            }
            for one in found.distributions
        ],
        "slowest": [_load(load) for load in found.slowest(10)],
        "tree": [_load(load) | {"depth": load.depth} for load in found.tree],
        "unfinished": [
            _request(record)
            for record in trace.records
            if record.wait_ns or record.outcome == "partial"
        ],
        "failures": [record.to_dict() for record in trace.records if record.outcome == "failed"],
        "standing": [[record.to_dict() for record in chain] for chain in standing.standing(trace)],
    }


def _load(load: tree.Load) -> dict[str, Any]:
    return {
        "id": load.record.id,
        "module": load.record.module,
        "outcome": load.record.outcome,
        "total_ns": load.total_ns,
        "self_ns": load.self_ns,
        "wait_ns": load.wait_ns,
    }


def _request(record: ImportRecord) -> dict[str, Any]:
    keys = ("id", "kind", "of", "module", "outcome", "thread", "start_ns", "wait_ns", "held_by")
    whole = record.to_dict()
    return {key: whole[key] for key in keys if key in whole}
