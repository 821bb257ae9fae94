"""The JSON report: the figures of the analysis, nothing that JSON cannot carry."""

from __future__ import annotations

import json
from dataclasses import replace

from report_support import MS, ONE, race, record

from importtrace.records import Trace
from importtrace.reports import figures


def test_totals_threads_and_distributions_are_those_of_the_trace() -> None:
    """The sums that the text report shows, in nanoseconds."""
    found = figures.figures(race(), "t.jsonl")
    assert found["trace"] == "t.jsonl"
    assert found["totals"] == {
        "modules": 5,
        "threads": 3,
        "elapsed_ns": 52 * MS,
        "importing_ns": 50 * MS,
        "work_ns": 53 * MS,
        "wait_ns": 67 * MS,
        "failed": 1,
        "handled": 1,
        "handed_out": 1,
        "compiled": 0,
    }
    assert [one["self_ns"] // MS for one in found["threads"]] == [48, 4, 1]
    assert [one["name"] for one in found["distributions"]] == ["the program's own", "click"]
    assert found["distributions"][1]["version"] == "8.1"
    assert "version" not in found["distributions"][0]


def test_the_tree_is_flat_with_depths() -> None:
    """Tree order and a depth rebuild the tree; a list cannot exceed a reader's recursion limit."""
    deep = tuple(
        record(at, f"m{at}", ONE, at, 9000 - 2 * at, parent=at - 1 or None) for at in range(1, 3001)
    )
    found = figures.figures(Trace(header=race().header, records=deep), "t")
    again = json.loads(json.dumps(found))
    assert [one["depth"] for one in again["tree"]] == list(range(3000))


def test_failures_and_unfinished_modules_are_listed() -> None:
    """Failed records whole, as in the trace file; waits and hand-outs in short."""
    found = figures.figures(race(), "t")
    assert [one["id"] for one in found["failures"]] == [2, 3, 7]
    assert found["failures"][1]["cause"]["kind"] == "thread_race"
    assert [(one["module"], one["outcome"]) for one in found["unfinished"]] == [
        ("shop.errors", "partial"),
        ("shop", "waited"),
    ]


def test_problems_of_the_file_are_passed_on() -> None:
    """A reader of the JSON learns that the file was cut, too."""
    cut = replace(race(), problems=("line 9: truncated",))
    assert figures.figures(cut, "t")["problems"] == ["line 9: truncated"]
