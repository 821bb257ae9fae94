"""What `importtrace explain` says of imports that hung."""

from __future__ import annotations

from importtrace.records import Trace
from importtrace.reports.causes import report

STALL = {
    "kind": "load",
    "module": "shop.db",
    "thread": {"id": 1, "name": "MainThread"},
    "since_ns": 1_000_000_000,
    "reported_ns": 11_000_000_000,
    "summary": "the import of shop.db has made no progress for 10.0 s: MainThread stands at db.py, line 5",
    "hint": "it goes on when that line does",
    "threads": [
        {
            "thread": {"id": 1, "name": "MainThread"},
            "alive": True,
            "chain": [{"module": "shop", "file": "shop.py", "line": 1, "statement": "import shop.db"}],
        }
    ],
}  # fmt: skip


def told(**header: object) -> str:
    return report(Trace(header={"type": "trace", "schema": 1, **header}, records=()), "t.jsonl")


def test_a_hang_is_told_with_its_threads() -> None:
    """Which import, whether it is over, who stands where, what next."""
    text = told(stalls=[STALL])
    assert "hung: the import of shop.db, not over when the trace was written" in text
    assert "shop (shop.py, line 1): import shop.db" in text
    assert "what next: it goes on when that line does" in text
    assert "thread MainThread:" in text
    ended = told(stalls=[{**STALL, "ended_ns": 13_500_000_000, "outcome": "failed"}])
    assert "for 12.5 s, then it failed" in ended


def test_without_a_hang_nothing_is_said_of_one() -> None:
    """And what a foreign or hostile file holds there is no reason to fail."""
    assert "hung" not in told()
    for strange in (1, "x", [1, None], {"a": 1}, [[]]):
        assert "hung" not in told(stalls=strange)
    assert "\x1b[" not in told(stalls=[{"module": "\x1b[31m", "threads": [{"chain": [{}]}, 3]}])


def test_many_are_cut_short() -> None:
    """Twenty are shown; the rest is counted."""
    assert "80 more in the trace's first line" in told(stalls=[STALL] * 100)
