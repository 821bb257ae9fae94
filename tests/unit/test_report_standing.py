"""The section that says where each thread stood when its process died, or stands now."""

from __future__ import annotations

import pytest

from importtrace.records import Importer, ImportRecord, ThreadRef, Trace
from importtrace.reports import causes, figures, text

MAIN = ThreadRef(1, "MainThread", 1)
OTHER = ThreadRef(2, "loader", 2)


def _record(number: int, module: str, thread: ThreadRef = MAIN, **values: object) -> ImportRecord:
    values = {"kind": "load", "start_ns": number * 1_000_000, **values}
    return ImportRecord(id=number, module=module, thread=thread, **values)  # type: ignore[arg-type]


def _trace(end: str, *records: ImportRecord, **header: object) -> Trace:
    return Trace({"type": "trace", "schema": 1, "start": 0, "end": end, **header}, records)


BODY = _record(
    1,
    "shop",
    origin="/srv/shop.py",
    find_ns=1,
    load_ns=1,
    importer=Importer("/srv/app.py", 3, "__main__", "import shop"),
)
WAIT = _record(
    2,
    "shop",
    OTHER,
    kind="request",
    held_by={"thread": {"id": 1, "name": "MainThread"}, "module": "shop"},
)


def test_each_thread_with_its_chain() -> None:
    """Who is where, since when, asked for by which line; who waits, for whom."""
    told = causes.report(_trace("died", BODY, WAIT, open=[1, 2]), "t")
    assert told.splitlines()[2:] == [
        "Where it stood",
        "  the process ended without a word: it was killed, crashed, or left by os._exit",
        "  MainThread: in the body of shop, since 1.0 ms after the start",
        "    file /srv/shop.py",
        "    shop",
        "      asked for by /srv/app.py line 3: import shop",
        "  loader: waits for shop, since 2.0 ms after the start",
        "    held by MainThread, which loads shop",
        "    shop",
        "      asked for by a place that was not seen",
    ]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "looking for m"),
        ({"find_ns": 5}, "creating m"),
        ({"find_ns": 5, "load_ns": 0}, "in the body of m"),
    ],
)
def test_how_far_a_load_had_come(values: dict[str, int], says: str) -> None:
    """Not found yet, found, or running its body."""
    told = text.report(_trace("died", _record(1, "m", **values), open=[1]), "t")
    assert f"MainThread: {says}, since" in told


def test_a_process_that_lives_or_cannot_be_seen() -> None:
    """The section says which; without open imports it says that."""
    running = causes.report(_trace("running", open=[]), "t")
    assert "Where it stands\n  the process still runs\n  no import was going on" in running
    assert "cannot be seen from here" in causes.report(_trace("unknown", open=[]), "t")


@pytest.mark.parametrize("opened", [None, "1", [None, "1", 2.5, {}], [99]])
def test_an_edited_file_does_no_harm(opened: object) -> None:
    """What is no list of ids counts as nothing open."""
    trace = _trace("died", BODY, open=opened)
    assert "no import was going on" in text.report(trace, "t")
    assert figures.figures(trace, "t")["standing"] == []


def test_a_trace_that_ended_well_has_no_such_section() -> None:
    """Nor has one of an older file, which lacks the key."""
    over = _record(1, "shop", outcome="ok", duration_ns=5)
    told = text.report(_trace("exit", over), "t")
    assert "Where it st" not in told
    assert "not over" not in told


def test_an_import_that_never_ended_is_said_where_the_process_did_end() -> None:
    """A thread that hangs in a body does not keep a process from ending: the report says where it hangs."""
    over = _record(2, "json", outcome="ok", duration_ns=5)
    for told in (
        text.report(_trace("exit", BODY, over), "t"),
        causes.report(_trace("exit", BODY, over), "t"),
    ):
        assert (
            "Imports that were not over when the trace was written\n"
            "  MainThread: in the body of shop, since 1.0 ms after the start\n"
            "    file /srv/shop.py\n"
            "    shop\n"
            "      asked for by /srv/app.py line 3: import shop\n"
        ) in told + "\n"
        assert "json" not in told.split("Imports that were not over")[1].split("\n\n")[0]


def test_what_the_watchdog_has_seen_is_in_the_report_too() -> None:
    """Its words on an import that hung, not only in `explain`."""
    stall = {"module": "shop", "summary": "the import of shop has made no progress for 1.3 s"}
    told = text.report(_trace("exit", BODY, stalls=[stall]), "t")
    assert "hung: the import of shop, not over when the trace was written" in told
    assert "has made no progress for 1.3 s" in told


def test_a_deep_chain_is_cut_in_its_middle() -> None:
    """The first and the last links are what tells."""
    deep = [_record(number, f"m{number:03}") for number in range(1, 101)]
    told = causes.report(_trace("died", *deep, open=list(range(1, 101))), "t")
    assert "    m001\n" in told
    assert "      (60 more)\n" in told
    assert "    m100\n" in told
    assert told.count("asked for by") == 40
