"""The text report: what somebody at a terminal at night reads, and what must never happen to it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_support import MS, ONE, THREE, race, record

from importtrace.records import Trace
from importtrace.reports import terminal, text


def section(report: str, title: str) -> list[str]:
    """The lines under a heading, up to the next blank line."""
    lines = report.splitlines()
    start = lines.index(title) + 1
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return lines[start:end]


def words(line: str) -> list[str]:
    return line.split()


def test_the_head_says_which_process_and_how_long() -> None:
    """Program, pid, Python, the start-up's length and end, and the counts."""
    head = text.report(race(), "t.jsonl").split("\n\n")[0]
    assert "importtrace report of t.jsonl" in head
    assert "service.py, pid 4242, CPython 3.12.1, linux" in head
    assert "52.0 ms, then the process ended" in head
    assert "5 modules on 3 threads in 50.0 ms" in head
    assert "1 failed, 1 failed and handled, 1 handed out half-built" in head


def test_a_ready_mark_ends_the_startup() -> None:
    """Who said that the program was ready is told, and the start-up is as long as until then."""
    head = text.report(race(ready_ns=20 * MS, ready_by="gunicorn"), "t.jsonl")
    assert "start-up: 20.0 ms, then ready (gunicorn)" in head


def test_one_failure_is_listed_once_with_its_summary() -> None:
    """The exception left two bodies; the one with the cause stands for both. Handled: a count."""
    lines = section(text.report(race(), "t.jsonl"), "Failed imports")
    assert lines[0] == "  warm-up-1: shop.errors"
    assert lines[1] == "    ImportError: cannot import name 'AgentError'"
    assert "warm-up-2 was still building shop.agent" in " ".join(lines)
    assert lines[-2] == "  1 more, handled by the program"
    assert lines[-1] == "  for the causes: importtrace explain t.jsonl"
    assert not any("fast_json" in line for line in lines)


def test_waits_and_handouts_name_the_thread_that_held_the_module() -> None:
    """When, how long, which thread, which module, half-built or not, and held by whom."""
    lines = section(text.report(race(), "t.jsonl"), "Modules met unfinished")
    rows = [words(line) for line in lines[1:]]
    assert rows == [
        ["15.0", "33.0", "warm-up-2", "shop.errors"],
        ["half-built", "(held", "by", "warm-up-1)"],
        ["16.0", "34.0", "warm-up-3", "shop", "(held", "by", "warm-up-1)"],
    ]


def test_a_circle_in_one_thread_is_not_told_as_a_race() -> None:
    """Half-built, but nobody else's: the note says so."""
    own = record(2, "loop", ONE, 1, 0, kind="request", outcome="partial", parent=1, of=1)
    trace = Trace(header=race().header, records=(record(1, "loop", ONE, 0, 9), own))
    lines = section(text.report(trace, "t"), "Modules met unfinished")
    assert lines[1].endswith("loop half-built (in a circle)")


def test_the_slowest_come_first_by_their_own_time() -> None:
    """Self time decides, not the time of what a module imports; and who imported it is told."""
    lines = section(text.report(race(), "t.jsonl"), "Slowest modules by their own time")
    assert [words(line)[:3] for line in lines[1:4]] == [
        ["36.0", "36.0", "shop.errors"],
        ["8.0", "8.0", "click"],
        ["4.0", "40.0", "shop"],
    ]
    assert lines[3].endswith("shop  < __main__")


def test_each_thread_has_its_sums() -> None:
    """Work, waiting, modules and the time from first to last, a line for each thread."""
    lines = section(text.report(race(), "t.jsonl"), "Threads")
    assert [words(line) for line in lines[1:]] == [
        ["48.0", "0.0", "3", "0.0", "50.0", "warm-up-1"],
        ["4.0", "33.0", "1", "14.0", "51.0", "warm-up-2"],
        ["1.0", "34.0", "1", "16.0", "52.0", "warm-up-3"],
    ]


def test_distributions_carry_the_version_that_the_trace_knows() -> None:
    """What was installed with what, the most expensive first."""
    lines = section(text.report(race(), "t.jsonl"), "Distributions")
    assert [words(line) for line in lines[1:]] == [
        ["45.0", "4", "the", "program's", "own"],
        ["8.0", "1", "click", "8.1"],
    ]


def test_the_tree_stands_under_its_threads() -> None:
    """Children are indented below their parent; what failed is marked."""
    lines = section(text.report(race(), "t.jsonl"), "Tree: who loaded what")
    assert [line[24:] for line in lines[1:]] == [
        "",
        "click",
        "shop  FAILED",
        "  shop.errors  FAILED",
        "",
        "shop.agent  waited 33.0 ms",
        "",
        "fast_json  failed, handled",
    ]
    assert [line.strip() for line in lines if line.endswith("]")] == [
        "[warm-up-1]",
        "[warm-up-2]",
        "[warm-up-3]",
    ]


def test_small_loads_are_folded_and_all_shows_them() -> None:
    """What takes under a hundredth of its thread's time is counted in a line, not lost."""
    records = (
        record(1, "big", ONE, 0, 1000),
        record(2, "small.a", ONE, 1, 2, parent=1),
        record(3, "small.b", ONE, 1.5, 1, parent=2),
        record(4, "middle", ONE, 10, 500, parent=1),
        record(5, "small.c", ONE, 20, 3, parent=1),
    )
    trace = Trace(header=race().header, records=records)
    folded = section(text.report(trace, "t"), "Tree: who loaded what")
    assert [line[24:] for line in folded[1:]] == ["big", "  middle", "  (3 modules more)"]
    whole = section(text.report(trace, "t", everything=True), "Tree: who loaded what")
    assert [line[24:].strip() for line in whole[1:]] == [one.module for one in records]


def test_a_failure_is_never_folded() -> None:
    """However quick it was, a load that failed for good keeps its line in the tree."""
    trace = Trace(
        header=race().header,
        records=(
            record(1, "big", ONE, 0, 1000),
            record(2, "broken", ONE, 1, 0.01, parent=1, outcome="failed"),
        ),
    )
    lines = section(text.report(trace, "t"), "Tree: who loaded what")
    assert lines[-1].endswith("  broken  FAILED")


def test_a_load_that_never_ended_is_marked() -> None:
    """A process that was killed shows in the tree which bodies it was in."""
    trace = Trace(
        header=race().header,
        records=(
            record(1, "outer", ONE, 0, None, outcome=None),
            record(2, "inner", ONE, 1, 5, parent=1),
        ),
    )
    lines = section(text.report(trace, "t"), "Tree: who loaded what")
    assert [line[24:] for line in lines[1:]] == ["outer  not finished", "  inner"]


def test_what_is_missing_is_said_before_any_figure() -> None:
    """A cut file, dropped records and what this interpreter does not show stand in the head."""
    cut = replace(race(dropped=12, not_observed=["waits"]), problems=("line 9: truncated",))
    head = text.report(cut, "t.jsonl").split("\n\n")[0]
    assert "damaged: line 9: truncated" in head
    assert "dropped:  12 records" in head
    assert "not observed here: waits" in head


def test_of_what_was_not_observed_nothing_is_cut_out() -> None:
    """However many kinds there are: lines are folded, and each kind is there whole."""
    kinds = [f"things of the kind {number}" for number in range(8)]
    head = text.report(race(not_observed=kinds), "t.jsonl").split("\n\n")[0]
    assert ", ".join(kinds) in " ".join(head.split())
    assert max(map(len, head.splitlines())) <= 80


def test_a_program_that_imports_nothing_has_a_head_only() -> None:
    """No empty tables."""
    report = text.report(Trace(header=race().header, records=()), "t.jsonl")
    assert "0 modules on 0 threads" in report
    assert "\n\n" not in report


def test_colour_adds_escapes_and_nothing_else() -> None:
    """The same words in the same places, with and without."""
    plain = text.report(race(), "t.jsonl")
    painted = text.report(race(), "t.jsonl", colour=True)
    assert "\033" not in plain
    assert re.sub(r"\033\[\d+m", "", painted) == plain
    assert painted != plain


@pytest.mark.parametrize("everything", [False, True])
def test_deep_trees_stay_in_eighty_columns(everything: bool) -> None:
    """Two hundred levels, long names: no line is longer than a terminal is wide."""
    records = tuple(
        record(at, f"package_{at}." + "x" * 90, THREE, at, 1000 - 2 * at, parent=at - 1 or None)
        for at in range(1, 201)
    )
    report = text.report(Trace(header=race().header, records=records), "t" * 200)
    assert max(map(len, report.splitlines())) <= terminal.WIDTH
    assert "[199]" in report


def test_many_notes_stay_in_eighty_columns() -> None:
    """The head's counts take a second line when they need one."""
    more = tuple(
        record(100 + at, f"c{at}", ONE, 60, 1, bytecode="compiled", outcome="partial")
        for at in range(1000)
    )
    trace = race()
    report = text.report(Trace(header=trace.header, records=trace.records + more), "t")
    assert "1000 compiled from source" in " ".join(report.split())
    assert max(map(len, report.splitlines())) <= terminal.WIDTH


@given(st.text(), st.text(), st.text())
def test_nothing_in_a_trace_can_write_to_the_terminal(module: str, message: str, name: str) -> None:
    """Control characters in names and messages are shown as escapes, and lines keep their width."""
    one, two, *_ = race().records
    bad = replace(
        two,
        module=module,
        cause=None,
        error={"type": "E", "message": message},
        thread=replace(ONE, name=module),
    )
    report = text.report(Trace(header=race().header | {"argv0": message}, records=(one, bad)), name)
    assert all(char.isprintable() or char == "\n" for char in report)
    assert len(report.splitlines()) == report.count("\n")
    for line in report.splitlines():
        if "importtrace explain" not in line:
            assert len(line) <= terminal.WIDTH
