"""The tree and its sums: every load once, and no nanosecond lost or counted twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from importtrace.analysis import tree
from importtrace.analysis.failed import failures
from importtrace.records import ImportRecord, ThreadRef, Trace

MAIN = ThreadRef(1, "MainThread", 1)
OTHER = ThreadRef(2, "worker", 2)


def load(id: int, start: int, duration: int | None, **more: Any) -> ImportRecord:
    values: dict[str, Any] = {
        "kind": "load",
        "id": id,
        "module": f"m{id}",
        "outcome": "ok",
        "thread": MAIN,
        "start_ns": start,
        "duration_ns": duration,
    }
    return ImportRecord(**(values | more))


def trace(*records: ImportRecord, **header: Any) -> Trace:
    return Trace(header={"start": 0, **header}, records=records)


def test_self_time_is_what_the_loads_below_do_not_use() -> None:
    """A parent's self time is its duration less its direct children's, grandchildren not twice."""
    found = tree.analyse(
        trace(load(1, 0, 100), load(2, 10, 60, parent=1), load(3, 20, 25, parent=2))
    )
    assert [(one.record.id, one.depth, one.total_ns, one.self_ns) for one in found.tree] == [
        (1, 0, 100, 40),
        (2, 1, 60, 35),
        (3, 2, 25, 25),
    ]


def test_waiting_is_not_self_time() -> None:
    """A body that waited for another thread was not slow itself; nor was a load that queued."""
    waited = load(2, 10, 30, kind="request", outcome="waited", parent=1, wait_ns=30)
    queued = load(3, 50, 20, parent=1, wait_ns=15)
    parent, child = tree.analyse(trace(load(1, 0, 100), waited, queued)).tree
    assert (parent.self_ns, parent.wait_ns) == (50, 30)
    assert (child.self_ns, child.wait_ns) == (5, 15)


def test_meeting_a_module_of_ones_own_is_no_waiting() -> None:
    """A circle in one thread blocks nobody: the moment it takes is the body's own time."""
    met = load(2, 10, 5, kind="request", outcome="partial", parent=1)
    [parent] = tree.analyse(trace(load(1, 0, 100), met)).tree
    assert (parent.self_ns, parent.wait_ns) == (100, 0)


def test_a_thread_started_by_a_load_is_not_part_of_its_time() -> None:
    """What another thread loads runs beside the load that started the thread, not inside it."""
    found = tree.analyse(trace(load(1, 0, 100), load(2, 10, 500, parent=1, thread=OTHER)))
    assert [(one.depth, one.self_ns) for one in found.tree] == [(0, 100), (0, 500)]
    assert [(one.thread, one.total_ns) for one in found.threads] == [(MAIN, 100), (OTHER, 500)]


def test_threads_with_a_reused_ident_stay_apart() -> None:
    """Python gives a dead thread's ident to the next one; the serial tells them apart."""
    again = ThreadRef(MAIN.id, "again", 7)
    found = tree.analyse(trace(load(1, 0, 10), load(2, 20, 10, thread=again)))
    assert [one.thread.name for one in found.threads] == ["MainThread", "again"]


def test_a_load_that_never_ended_is_as_long_as_what_is_known_of_it() -> None:
    """A trace cut short by a crash has loads without a duration; their children still count."""
    first, second = tree.analyse(trace(load(1, 0, None), load(2, 5, 40, parent=1))).tree
    assert (first.total_ns, first.self_ns) == (40, 0)
    assert (second.total_ns, second.self_ns) == (40, 40)


def test_importing_time_counts_overlap_once() -> None:
    """Two threads side by side: the clock ran 70, the work was 100."""
    found = tree.analyse(trace(load(1, 0, 50), load(2, 20, 50, thread=OTHER)))
    assert (found.importing_ns, found.work_ns) == (70, 100)


def test_startup_ends_at_the_ready_mark() -> None:
    """With a mark the start-up is as long as it says; without one, until the last record's end."""
    assert tree.analyse(trace(load(1, 10, 50), ready_ns=40)).elapsed_ns == 40
    assert tree.analyse(trace(load(1, 10, 50))).elapsed_ns == 60


def test_distributions_are_told_by_where_a_module_lies() -> None:
    """Installed packages by their top name, with the version the trace knows; the rest in two."""
    site = "/usr/lib/python3.12/site-packages/"
    found = tree.analyse(
        trace(
            load(1, 0, 9, module="typing_extensions", origin=site + "typing_extensions.py"),
            load(2, 10, 8, module="json.decoder", origin="/usr/lib/python3.12/json/decoder.py"),
            load(3, 20, 7, module="_json", origin="built-in"),
            load(4, 30, 6, module="shop.cart", origin="/srv/shop/cart.py"),
            load(5, 40, 5, module="json", origin=site + "json.py"),
            versions={"Typing.Extensions": "4.9"},
        )
    )
    assert [(one.name, one.version, one.loads, one.self_ns) for one in found.distributions] == [
        (tree.STANDARD_LIBRARY, None, 2, 15),
        ("Typing.Extensions", "4.9", 1, 9),
        (tree.APPLICATION, None, 1, 6),
        ("json", None, 1, 5),
    ]


def test_a_failure_is_told_once() -> None:
    """One exception that left three bodies is one failure, at the innermost; another is another."""
    same = {"type": "ImportError", "message": "no"}
    records = (
        load(1, 0, 9, outcome="failed", error=same),
        load(2, 1, 7, outcome="failed", error=same, parent=1),
        load(3, 2, 5, outcome="failed", error=same, parent=2),
        load(4, 20, 5, outcome="failed", error={"type": "KeyError", "message": "'x'"}),
    )
    assert [record.id for record in failures(records)] == [3, 4]


def test_an_empty_trace_has_empty_figures() -> None:
    """A process that imported nothing has no threads, no slowest and no time."""
    found = tree.analyse(trace())
    assert (found.tree, found.threads, found.slowest(3), found.elapsed_ns) == ((), (), [], 0)


@st.composite
def nested(draw: st.DrawFn) -> list[ImportRecord]:
    """Loads and waits that nest as real ones do: each inside its parent, siblings one by one."""
    records: list[ImportRecord] = []

    def fill(parent: int | None, thread: ThreadRef, begin: int, end: int, depth: int) -> None:
        at = begin
        for _ in range(draw(st.integers(0, 3 if depth < 4 else 0))):
            start = draw(st.integers(at, end))
            stop = draw(st.integers(start, end))
            record = load(len(records) + 1, start, stop - start, parent=parent, thread=thread)
            if draw(st.booleans()):
                records.append(record)
                fill(record.id, thread, start, stop, depth + 1)
            else:
                wait = {"kind": "request", "outcome": "waited", "wait_ns": stop - start}
                records.append(ImportRecord(**(_fields(record) | wait)))
            at = stop

    for serial in range(1, draw(st.integers(1, 3)) + 1):
        fill(None, ThreadRef(serial, None, serial), 0, draw(st.integers(0, 10**12)), 0)
    return sorted(records, key=lambda record: record.start_ns)


def _fields(record: ImportRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@given(nested())
def test_self_times_and_waits_sum_to_each_threads_total(records: list[ImportRecord]) -> None:
    """For nested records nothing is negative, and the parts of a thread are its whole."""
    found = tree.analyse(trace(*records))
    for thread in found.threads:
        assert thread.self_ns + thread.wait_ns == thread.total_ns
        assert thread.total_ns <= thread.last_ns - thread.first_ns
    assert all(one.self_ns >= 0 for one in found.tree)
    assert sum(one.self_ns for one in found.distributions) == found.work_ns
    assert found.importing_ns <= found.elapsed_ns


small = st.integers(0, 8)
anything = st.builds(
    lambda id, parent, start, duration, kind, thread: load(
        id, start, duration, parent=parent, kind=kind, thread=thread
    ),
    small,
    st.none() | small,
    small,
    st.none() | small,
    st.sampled_from(["load", "request"]),
    st.sampled_from([MAIN, OTHER, ThreadRef(9)]),
)


@given(st.lists(anything, max_size=12))
def test_every_load_is_in_the_tree_once_whatever_the_file_says(
    records: list[ImportRecord],
) -> None:
    """Ids used twice, parents that are missing or form a ring: no load is lost, none is doubled."""
    found = tree.analyse(trace(*records))
    loads = Counter(id(record) for record in records if record.kind == "load")
    assert Counter(id(one.record) for one in found.tree) == loads
    for thread in found.threads:
        assert thread.self_ns + thread.wait_ns == thread.total_ns
    depth = -1
    for one in found.tree:
        assert 0 <= one.depth <= depth + 1
        depth = one.depth


def test_a_statement_is_no_second_failure_where_the_load_around_it_has_the_cause() -> None:
    """A half-built module was handed out, a name was missing: one exception, told with its cause."""
    same = {"type": "ImportError", "message": "m2 has no x"}
    records = (
        load(1, 0, 9, outcome="failed", error=same, cause={"kind": "thread_race"}),
        load(2, 1, 1, kind="request", outcome="failed", error=same, parent=1),
    )
    assert [record.id for record in failures(records)] == [1]
