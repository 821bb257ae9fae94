"""Which events a trace becomes, and what they hold."""

from __future__ import annotations

import logging

from exporters_support import MS, OTHER, cause, failed, load, request, trace

from importtrace.exporters.events import events as all_events

HELD = {"thread": {"id": 101, "name": "MainThread"}, "module": "a", "file": "/a.py", "line": 9}


def _startup(*records, debug=False, long_wait_ms=100, **header):
    return all_events(trace(*records, **header), debug=debug, long_wait_ms=long_wait_ms)


def test_a_quiet_start_up_is_one_summary():
    """Nothing failed and nobody waited: one line, with the figures."""
    events = _startup(
        load(1, "a", bytecode="compiled", self_ns=5 * MS),
        load(2, "b", thread=OTHER),
        ready_ns=50 * MS,
        ready_by="explicit",
        dropped=7,
    )
    assert [(event.level, event.name) for event in events] == [("info", "import.startup")]
    fields = events[0].fields
    assert (fields["modules"], fields["threads"], fields["compiled"]) == (2, 2, 1)
    assert (fields["total_ms"], fields["import_ms"]) == (50.0, 6.0)
    assert (fields["dropped"], fields["ready_by"]) == (7, "explicit")
    assert fields["slowest"][0] == {"module": "a", "self_ms": 5.0}


def test_a_failure_is_an_error_event_with_its_cause():
    """Summary, kind, root and fingerprint are fields of their own; the whole cause is there too."""
    first, summary = _startup(failed(1, "b"))
    assert (first.level, first.name) == ("error", "import.failed")
    assert first.fields["error_type"] == "ImportError"
    assert first.fields["cause_kind"] == "circular"
    assert first.fields["summary"] == cause()["summary"]
    assert first.fields["root"] == cause()["root"]
    assert first.fields["fingerprint"] == "f00d"
    assert first.fields["cause"] == cause()
    assert (first.fields["file"], first.fields["line"]) == ("/home/ada/app.py", 3)
    assert summary.fields["failures_unhandled"] == 1


def test_an_exception_that_passes_through_three_bodies_is_one_event():
    """Each enclosing load failed as well; the one that carries the cause speaks for them."""
    events = _startup(
        failed(1, "outer", cause=None),
        failed(2, "middle", cause=None, parent=1),
        failed(3, "inner", parent=2),
    )
    assert [event.fields.get("module_name") for event in events] == ["inner", None]
    assert events[-1].fields["failures_unhandled"] == 1


def test_the_statement_that_failed_a_body_is_no_event_of_its_own():
    """`from x import name` of a half-built module is a failed request, below the load that it failed."""
    events = _startup(failed(1, "builder"), failed(2, "x", cause=None, parent=1, kind="request"))
    assert [event.fields.get("module_name") for event in events] == ["builder", None]
    assert events[-1].fields["failures_unhandled"] == 1


def test_a_failure_without_a_known_cause_is_reported_once():
    """The innermost stands for the others; a different error of the parent is its own event."""
    other = {"type": "RuntimeError", "message": "gave up"}
    events = _startup(
        failed(1, "outer", cause=None, error=other),
        failed(2, "middle", cause=None, parent=1),
        failed(3, "inner", cause=None, parent=2),
    )
    assert [event.fields.get("module_name") for event in events] == ["outer", "inner", None]


def test_handled_failures_are_for_debug():
    """An optional dependency that is not installed makes no noise."""
    record = failed(1, "ujson", handled=True)
    assert [event.name for event in _startup(record)] == ["import.startup"]
    quiet, summary = _startup(record, debug=True)
    assert (quiet.level, quiet.name) == ("debug", "import.failed_handled")
    assert summary.fields["failures_handled"] == 1
    assert summary.fields["failures_unhandled"] == 0


def test_long_waits_warn_and_short_ones_are_counted():
    """The threshold itself is long."""
    long = request(2, "a", 1, outcome="waited", wait_ns=100 * MS, held_by=HELD)
    short = request(3, "a", 1, outcome="waited", wait_ns=100 * MS - 1)
    first, summary = _startup(load(1, "a"), long, short)
    assert (first.level, first.name) == ("warning", "import.long_wait")
    assert first.fields["wait_ms"] == 100.0
    assert first.fields["held_by"] == HELD
    assert first.fields["thread_name"] == "warm-up"
    assert summary.fields["waits"] == 2


def test_partial_hand_outs_are_for_debug():
    """Nearly all are harmless: counted in the summary, an event only at debug."""
    record = request(2, "a", 1, outcome="partial", held_by=HELD, bound_names=("x", "y"))
    (summary,) = _startup(record)
    assert summary.fields["partial"] == 1
    first, _ = _startup(record, debug=True)
    assert (first.level, first.name, first.fields["bound_count"]) == ("debug", "import.partial", 2)


def test_debug_names_every_load():
    """One event a load, with its times."""
    events = _startup(load(1, "a"), load(2, "b"), debug=True)
    loaded = [event for event in events if event.name == "import.loaded"]
    assert [event.fields["module_name"] for event in loaded] == ["a", "b"]
    assert {event.level for event in loaded} == {"debug"}
    assert loaded[0].fields["self_ms"] == 1.0


def test_an_event_keeps_its_key_in_a_later_snapshot():
    """Ids are given anew in each snapshot; begin, module and event are not."""
    first = _startup(load(1, "a"), failed(2, "b", wait_ns=500 * MS), debug=True)
    later = _startup(
        load(1, "void", start_ns=0),
        load(2, "a", start_ns=1 * MS),
        failed(3, "b", start_ns=2 * MS, wait_ns=500 * MS),
        debug=True,
    )
    keys = [event.key for event in first]
    assert len(set(keys)) == 4
    assert set(keys) <= {event.key for event in later}


def test_what_is_not_known_yet_is_not_told():
    """Whether a body that is still running will catch a failure, only a later snapshot knows."""
    events = _startup(
        load(1, "app", outcome=None, duration_ns=None, self_ns=None),
        failed(2, "b", handled=None, parent=1),
        debug=True,
    )
    assert [event.name for event in events] == ["import.startup"]
    assert (events[0].fields["failures_handled"], events[0].fields["failures_unhandled"]) == (0, 0)


def test_what_came_after_the_ready_mark_is_not_in_the_summary():
    """A module that a request loads later is no part of the start-up."""
    events = _startup(load(1, "a"), load(9, "lazy"), ready_ns=5 * MS)
    assert events[-1].fields["modules"] == 1


def test_no_field_collides_with_the_standard_library_s_log_records():
    """structlog set-ups pass fields as ``extra``, and logging raises KeyError for its own names."""
    waited = request(2, "a", 1, outcome="waited", wait_ns=500 * MS, held_by=HELD)
    partial = request(3, "a", 1, outcome="partial", held_by=HELD)
    handled = failed(5, "c", handled=True)
    events = _startup(load(1, "a"), waited, partial, failed(4, "b"), handled, debug=True)
    assert len({event.name for event in events}) == 6
    for event in events:
        record = logging.getLogger("x").makeRecord(
            "x", logging.INFO, "f", 1, event.name, (), None, extra=event.fields
        )
        assert record.getMessage() == event.name


def test_a_failed_statement_outside_of_every_load_is_an_event_too():
    """`from json import nothing` in the entry script fails no load: its cause is in the header."""
    at = {"module": "__main__", "file": "/app.py", "line": 1, "statement": "from a import x"}
    chain = [at | {"thread": {"id": 101, "name": "MainThread"}}]
    root = {"module": "__main__", "file": "/app.py", "line": 1, "type": "ImportError"}
    loose = cause(chain=chain, root=root)
    found = _startup(failures=[loose])
    first, summary = found
    assert (first.level, first.name) == ("error", "import.failed")
    assert first.fields["module_name"] == "a"
    assert (first.fields["file"], first.fields["line"]) == ("/app.py", 1)
    assert first.fields["error_type"] == "ImportError"
    assert first.fields["cause"] == loose
    assert summary.fields["failures_unhandled"] == 1
    again = _startup(failures=[loose, cause(chain=[{**chain[0], "thread": {"id": 202}}])])
    assert again[0].key == first.key != again[1].key
