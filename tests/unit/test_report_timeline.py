"""The timeline: each thread in its column, each event at its time."""

from __future__ import annotations

import re

from report_support import ONE, TWO, race, record

from importtrace.reports import timeline


def test_each_thread_has_a_column_and_time_goes_down() -> None:
    """Loads start and end, waits begin and end, in the order in which it happened."""
    shop = [one for one in race().records if one.module.startswith("shop")]
    lines = timeline.report(shop).splitlines()
    column = {name: lines[0].index(name) for name in ("warm-up-1", "warm-up-2", "warm-up-3")}

    def cell(line: str) -> tuple[str, str]:
        name = next(key for key, at in column.items() if line[at : at + 1].strip())
        return name, line[column[name] :].strip()

    assert [cell(line) for line in lines[1:] if not line[9:].strip().startswith("half")] == [
        ("warm-up-1", "starts shop"),
        ("warm-up-1", "starts shop.errors"),
        ("warm-up-2", "starts shop.agent"),
        ("warm-up-2", "waits for shop.errors"),
        ("warm-up-3", "waits for shop"),
        ("warm-up-1", "fails in shop.errors"),
        ("warm-up-2", "is given shop.errors"),
        ("warm-up-1", "fails in shop"),
        ("warm-up-3", "goes on with shop"),
        ("warm-up-2", "finishes shop.agent"),
    ]
    times = [float(line[:7]) for line in lines[1:] if line[:7].strip()]
    assert times == sorted(times)
    assert times[0] == 0.0


def test_names_are_shortened_and_lines_fit() -> None:
    """A common package is left out where the caller says so; nothing is wider than a terminal."""
    long = "shop." + "very_long_name_" * 4
    table = timeline.report(
        [record(1, long, ONE, 0, 5), record(2, "shop.b", TWO, 1, 2)], shorten="shop."
    )
    assert "starts b" in table
    assert "shop." not in table
    assert max(map(len, table.splitlines())) <= 80


def test_colour_changes_no_word() -> None:
    """With escape sequences taken out, it is the plain table."""
    records = race().records
    painted = timeline.report(records, colour=True)
    assert re.sub(r"\033\[\d+m", "", painted) == timeline.report(records)
    assert painted != timeline.report(records)


def test_no_records_no_table() -> None:
    """Not even a heading."""
    assert timeline.report([]) == ""


def test_a_circle_in_one_thread_is_not_told_as_a_race() -> None:
    """A body that asks for the module whose import led to it comes back; nobody gave it away."""
    again = record(3, "shop", ONE, 2, 0, kind="request", outcome="partial", parent=2, of=1)
    table = timeline.report([record(1, "shop", ONE, 0, 5), record(2, "shop.b", ONE, 1, 2), again])
    assert "comes back to shop" in table
    assert "half-built" not in table


def test_a_request_that_failed_says_what_it_was_left_with() -> None:
    """The remains of a failed import, where the cause says so; else that the thread gave up."""
    lost = {"kind": "request", "outcome": "failed", "wait_ns": 3_000_000}
    remains = {"kind": "failed_in_other_thread", "partial": {"module": "a", "state": "failed"}}
    table = timeline.report(
        [record(1, "a", ONE, 0, 3, cause=remains, **lost), record(2, "b", TWO, 1, 3, **lost)]
    )
    assert "is left with half of a" in table
    assert "gives up on b" in table


def test_a_request_that_got_its_module_and_lacked_a_name_did_not_give_up() -> None:
    """The cause stands at the load around it; giving up is what a _DeadlockError is."""
    lost = {"kind": "request", "outcome": "failed", "wait_ns": 3_000_000}
    missed = {"type": "ImportError", "message": "cannot import name 'x' from 'a'"}
    ended = {"type": "_DeadlockError", "message": "deadlock detected"}
    table = timeline.report(
        [
            record(1, "a", ONE, 0, 3, error=missed, **lost),
            record(2, "b", TWO, 1, 3, error=ended, **lost),
        ]
    )
    assert "misses a name of a" in table
    assert "gives up on b" in table
