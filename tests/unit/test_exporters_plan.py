"""Which spans are planned: parents, links, times, the budget."""

from __future__ import annotations

import json

from exporters_support import MS, START, cause, failed, load, request, trace
from hypothesis import given
from hypothesis import strategies as st

from importtrace.exporters.plan import plan


def _plan(*records, max_spans=1000, long_wait_ms=100, **header):
    return plan(trace(*records, **header), max_spans=max_spans, long_wait_ms=long_wait_ms)


def _by_name(spans):
    return {span.name: span for span in spans}


def test_the_root_comes_first_and_spans_the_start_up():
    """From the trace's start to the ready mark, with the process and the counts."""
    root, _ = _plan(load(1, "a"), ready_ns=30 * MS, ready_by="gunicorn", dropped=4)
    assert (root.name, root.id, root.parent) == ("python.startup", None, None)
    assert (root.start_ns, root.end_ns) == (START, START + 30 * MS)
    assert root.attributes["process.pid"] == 4711
    assert root.attributes["python.startup.modules"] == 1
    assert root.attributes["python.startup.ready_by"] == "gunicorn"
    assert root.attributes["python.import.dropped"] == 4


def test_the_parent_is_the_importing_load():
    """Recorded times, recorded parent; a first import hangs on the root."""
    spans = _by_name(_plan(load(1, "a"), load(2, "b", parent=1)))
    assert spans["import a"].parent is None
    assert spans["import b"].parent == 1
    assert (spans["import b"].start_ns, spans["import b"].end_ns) == (
        START + 2 * MS,
        START + 3 * MS,
    )


def test_a_parent_that_was_dropped_is_the_root():
    """A record whose parent is not in the trace is not lost."""
    assert _by_name(_plan(load(2, "b", parent=1)))["import b"].parent is None


def test_a_wait_links_to_what_it_waited_for_and_a_hand_out_to_its_builder():
    """Both are links to the span of the load that they met."""
    spans = _by_name(
        _plan(
            load(1, "a"),
            request(2, "a", 1, outcome="waited", wait_ns=200 * MS),
            load(3, "b"),
            request(4, "b", 3, outcome="partial", bound_names=("x",)),
        )
    )
    assert spans["wait a"].link == (1, "waited_for")
    assert spans["partial b"].link == (3, "built_by")
    assert spans["partial b"].attributes["python.import.bound_names"] == ["x"]


def test_a_short_wait_is_no_span():
    """Only waits worth seeing; the others are in the root's counts."""
    root, *rest = _plan(load(1, "a"), request(2, "a", 1, outcome="waited", wait_ns=99 * MS))
    assert [span.name for span in rest] == ["import a"]
    assert root.attributes["python.startup.waits"] == 1


def test_a_failure_that_nobody_handled_is_an_error():
    """Status, error.type, the exception event and the cause as JSON."""
    span = _plan(failed(1, "a"))[1]
    assert span.error == cause()["summary"]
    assert span.exception["exception.type"] == "ImportError"
    assert span.attributes["error.type"] == "ImportError"
    assert json.loads(span.attributes["python.import.cause"]) == cause()
    assert span.attributes["python.import.cause.kind"] == "circular"
    assert span.attributes["python.import.cause.fingerprint"] == "f00d"


def test_a_handled_failure_is_not_an_error():
    """It has its exception event, and neither status nor error.type."""
    span = _plan(failed(1, "a", handled=True))[1]
    assert span.error is None
    assert "error.type" not in span.attributes
    assert span.exception["exception.type"] == "ImportError"
    assert span.attributes["python.import.handled"] is True


def test_an_unfinished_load_says_so_and_ends_at_the_ready_mark():
    """A load that was under way has no duration; nothing is invented but the end."""
    span = _plan(load(1, "a", duration_ns=None, self_ns=None), ready_ns=9 * MS)[1]
    assert span.end_ns == START + 9 * MS
    assert span.attributes["python.import.unfinished"] is True
    assert "python.import.self_ms" not in span.attributes


def test_paths_that_are_no_utf_8_do_not_reach_the_encoder():
    """One lone surrogate would make the exporter refuse a whole batch."""
    span = _plan(load(1, "a\udcff", origin="/tmp/\udce9/a.py"))[1]
    for text in (span.name, span.attributes["python.import.origin"]):
        text.encode("utf-8")


def test_the_budget_keeps_what_matters_and_folds_the_rest():
    """Failure, hand-out, wait, what they point to, then the slowest; the rest is counted above."""
    records = [
        load(1, "app", duration_ns=900 * MS),
        load(2, "fast", parent=1, self_ns=2 * MS),
        load(3, "builder", parent=1),
        failed(4, "broken", parent=2),
        request(5, "builder", 3, outcome="partial"),
        request(6, "builder", 3, outcome="waited", wait_ns=300 * MS),
        load(7, "slow", parent=1, duration_ns=500 * MS),
        load(8, "tiny", parent=2, self_ns=3 * MS),
    ]
    spans = _by_name(_plan(*records, max_spans=7))
    assert set(spans) == {
        "python.startup",
        "import broken",
        "partial builder",
        "wait builder",
        "import builder",
        "import app",
        "import slow",
    }
    assert spans["import broken"].parent == 1  # its own parent is folded
    assert spans["import app"].attributes["python.import.folded.count"] == 2
    assert spans["import app"].attributes["python.import.folded.self_ms"] == 5.0
    assert spans["python.startup"].attributes["python.import.folded.total"] == 2
    assert spans["partial builder"].link == (3, "built_by")


@st.composite
def _traces(draw):
    records = []
    for id in range(1, draw(st.integers(1, 30)) + 1):
        parent = draw(st.one_of(st.none(), st.integers(1, 30).filter(lambda p, id=id: p < id)))
        make = draw(st.sampled_from([load, failed]))
        duration = draw(st.integers(0, 10**9))
        records.append(make(id, f"m{id}", parent=parent, duration_ns=duration))
    return trace(*records)


@given(_traces(), st.integers(1, 40))
def test_whatever_the_budget_nothing_is_lost_silently(given_trace, budget):
    """Kept and folded add up, the bound holds, and a parent stands before its children."""
    spans = plan(given_trace, max_spans=budget, long_wait_ms=100)
    assert 1 <= len(spans) <= budget
    counted = sum(span.attributes.get("python.import.folded.count", 0) for span in spans)
    assert len(spans) - 1 + counted == len(given_trace.records)
    assert spans[0].attributes["python.import.folded.total"] == counted
    seen = set()
    for span in spans:
        assert span.parent is None or span.parent in seen
        seen.add(span.id)
