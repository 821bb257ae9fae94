"""From a trace to threads, statements and events: what was done, whatever the interpreter."""

import pytest

from importtrace.race.replay_events import Failure
from importtrace.race.replay_order import read
from importtrace.records import Importer, ImportRecord, ThreadRef, Trace

FILE = "/srv/app/main.py"


def record(number, module, start, length, *, thread=1, kind="load", line=1, **more):
    """`length` None: not over when the trace ended."""
    more.setdefault("outcome", "ok" if length is not None else None)
    return ImportRecord(
        kind=kind,
        id=number,
        module=module,
        thread=ThreadRef(100 + thread, f"T-{thread}", thread),
        start_ns=start,
        duration_ns=length,
        importer=Importer(FILE, line, "__main__", more.pop("statement", None)),
        **more,
    )


def order(*records, **header):
    return read(Trace({"type": "trace", "schema": 1, "start": 0} | header, tuple(records)))


def statements(found):
    return [[one.entry.statement for one in thread.statements] for thread in found.threads]


def test_what_was_over_before_the_threads_met_needs_no_thread():
    """Only imports that overlap are forced into an order."""
    found = order(
        record(1, "argparse", 0, 10),
        record(2, "app", 20, 50, thread=2),
        record(3, "app.views", 30, 50, thread=3),
    )
    assert [one.entry.statement for one in found.before] == ["import argparse"]
    assert statements(found) == [["import app"], ["import app.views"]]


def test_events_are_in_the_order_of_their_times():
    """Begin, body and end of loads; a wait's end; each of the thread that did it."""
    found = order(
        record(1, "app", 0, 100, exec_ns=90),
        record(2, "app", 20, 90, thread=2, kind="request", outcome="waited", wait_ns=90, of=1),
    )
    assert [event[:3] for event in found.events] == [
        (1, "begin", "app"),
        (1, "body", "app"),
        (2, "begin", "app"),
        (1, "end", "app"),
        (2, "wake", "app"),
    ]
    assert all(event[3] for event in found.events if event[1] != "body")


@pytest.mark.parametrize(
    ("module", "names", "statement", "said"),
    [
        ("app", ("run", "stop"), "from app import run, stop", "from app import run, stop"),
        ("app", ("*",), "from app import *", "from app import *"),
        ("app.views", ("views",), "from app import views", "from app import views"),
        ("app.views", ("views",), "from . import views", "from app import views"),
        ("app.views", ("views",), "from app.views import views", "from app.views import views"),
        ("app.views", ("views",), None, "import app.views"),
        ("app.views", None, "import app.views", "import app.views"),
    ],
)
def test_statement_is_what_python_was_told(module, names, statement, said):
    """The record may be of the module that the statement names, or of one that it has among its names."""
    failed = {"outcome": "failed", "error": {"type": "KeyError", "message": "'x'"}}
    found = order(record(1, module, 0, 10, names=names, statement=statement, **failed))
    assert statements(found) == [[said]]


def test_package_that_a_statement_implies_is_no_statement_of_its_own():
    """`import a.b` loads a first, or once more where its load has failed."""
    failed = {"outcome": "failed", "error": {"type": "ImportError", "message": "no"}}
    found = order(
        record(1, "app", 0, 10, implied=True),
        record(2, "app.views", 11, 10, **failed),
        record(3, "other", 0, 30, thread=2),
        record(4, "other", 40, 5, thread=2, implied=True),
    )
    assert statements(found) == [["import app.views"], ["import other"]]


def test_what_came_after_the_failure_is_left_out():
    """It cannot have caused it."""
    failed = {"outcome": "failed", "error": {"type": "ImportError", "message": "no"}}
    found = order(
        record(1, "app", 0, 50, **failed),
        record(2, "other", 10, 50, thread=2),
        record(3, "late", 100, 10, thread=2),
    )
    assert statements(found) == [["import app"], ["import other"]]


def test_thread_that_a_body_starts_is_not_started_again():
    """Its first import is inside the load that started it."""
    found = order(
        record(1, "app", 0, None),
        record(2, "app.worker", 10, None, thread=2, parent=1),
    )
    assert [thread.spawned for thread in found.threads] == [False, True]


def test_wait_that_never_ended_is_a_hang():
    """No failure is on record then."""
    held = {"thread": {"id": 101, "name": "T-1"}, "module": "app"}
    found = order(
        record(1, "app", 0, None),
        record(2, "app", 10, None, thread=2, kind="request", of=1, held_by=held),
    )
    assert found.hung
    assert not found.expected


def test_handled_failures_count_only_where_there_is_no_other():
    """An optional dependency that is missing is no failure to look for."""
    missing = {
        "outcome": "failed",
        "error": {"type": "ModuleNotFoundError", "message": "No module named 'speedups'"},
        "handled": True,
    }
    real = {"outcome": "failed", "error": {"type": "KeyError", "message": "'a'"}, "handled": False}
    found = order(record(1, "speedups", 0, 10, **missing), record(2, "app", 20, 10, line=2, **real))
    assert [str(failure) for _, _, failure in found.expected] == ["KeyError: 'a'"]
    assert not order(record(1, "speedups", 0, 10, **missing)).expected


def test_failure_without_a_record_is_taken_from_the_header():
    """A spool holds the statement's failure only as its cause."""
    cause = {
        "module": "app",
        "message": "cannot import name 'x' from 'app' (/srv/app/app.py)",
        "chain": [{"thread": {"id": 102, "name": "T-2"}}],
    }
    found = order(
        record(1, "app", 0, 50),
        record(2, "app", 10, 45, thread=2, kind="request", outcome="waited", wait_ns=40),
        failures=[cause],
    )
    assert [(thread, str(failure)) for thread, _, failure in found.expected] == [
        (2, cause["message"])
    ]


def test_same_error_on_another_machine_and_release():
    """Paths and advice stand in parentheses; the module of a type is not said everywhere."""
    recorded = Failure("_frozen_importlib._DeadlockError", None, False)
    assert recorded.like("_DeadlockError", "whatever")
    recorded = Failure("ImportError", "cannot import name 'a' from 'b' (/srv/b.py)", False)
    assert recorded.like("ImportError", "cannot import name 'a' from 'b' (/home/(me)/b.py)")
    assert not recorded.like("ImportError", "cannot import name 'c' from 'b' (/srv/b.py)")
    assert not recorded.like("KeyError", recorded.message)


def test_folders_of_sys_path_follow_from_the_files():
    """Those of the program; the library's and site-packages are the interpreter's."""
    found = order(
        record(1, "app.views", 0, 1, origin="/srv/app/app/views.py"),
        record(2, "tool", 2, 1, origin="/srv/tools/tool/__init__.py"),
        record(3, "json", 4, 1, origin="/usr/lib/python3.12/json/__init__.py"),
        record(
            4, "requests", 6, 1, origin="/venv/lib/python3.12/site-packages/requests/__init__.py"
        ),
    )
    assert found.roots == ["/srv/app", "/srv/tools"]


def test_who_waited_and_then_loaded_it_had_looked_before_the_holder_had_put_it_there():
    """It comes to the point first; only then the holder takes the lock."""
    found = order(
        record(1, "app", 0, 100, exec_ns=50),
        record(2, "app", 10, 150, thread=2, wait_ns=90, of=1, exec_ns=40),
    )
    assert [event[:2] for event in found.events[:3]] == [(2, "come"), (1, "begin"), (2, "begin")]


def test_who_was_overtaken_on_its_way_to_the_lock_comes_to_it_second():
    """Its request began before the load that it waited for."""
    found = order(
        record(1, "app", 0, 100, kind="request", outcome="waited", wait_ns=100),
        record(2, "app", 10, 80, thread=2),
    )
    assert [event[:2] for event in found.events] == [
        (1, "come"),
        (2, "begin"),
        (1, "begin"),
        (2, "end"),
        (1, "wake"),
    ]


def waiting_for_its_package(statement):
    """As 3.13.18 and 3.14.10 are seen: thread 2 takes the lock of app.views, waits for the unfinished app, and
    loads app.views on the way, in the body of app; thread 1 is refused that lock meanwhile."""
    refused = {"type": "_DeadlockError", "message": "deadlock detected by _ModuleLock('app.views')"}
    holder = {"thread": {"id": 102, "name": "T-2"}, "module": "app.views"}
    return order(
        record(1, "app", 0, 60, outcome="failed", error=refused, load_ns=1, find_ns=1),
        record(
            2, "app", 20, 41, thread=2, kind="request", outcome="waited", wait_ns=41, of=1,
            statement=statement,
        ),
        record(
            3, "app.views", 30, 5, kind="request", outcome="failed", parent=1, held_by=holder,
            error=refused,
        ),
        record(4, "app", 70, 30, thread=2, statement=statement),
        record(5, "app.views", 75, 10, thread=2, parent=4),
    )  # fmt: skip


@pytest.mark.parametrize("statement", ["import app.views", None])
def test_statement_that_first_waits_for_the_package_is_of_its_module(statement):
    """Said by its source, or, without one, by the lock that another thread was refused."""
    found = waiting_for_its_package(statement)
    assert statements(found) == [["import app"], ["import app.views"]]
    mine = [event[1:3] for event in found.events if event[0] == 2]
    assert mine[:3] == [("begin", "app.views"), ("begin", "app"), ("wake", "app")]
    begins = [event[:3] for event in found.events if event[1:3] == ("begin", "app.views")]
    assert begins[0][0] == 2  # it has that lock before thread 1 asks for it


@pytest.mark.parametrize(
    ("statement", "names", "expected"),
    [
        ("from app.views import View", ("View",), "from app.views import View"),
        ("from app import View", ("View",), "from app import View"),
        ("import app.views as views", None, "import app.views"),
        ("import app.views, app.urls", None, "import app.views"),
        ("importlib.import_module('app')", None, "import app"),
        ("import app.views (", None, "import app"),
    ],
)
def test_what_the_statement_names_below_the_module_of_its_record(statement, names, expected):
    """The record is of the package, which was waited for."""
    found = order(
        record(1, "app", 0, 100),
        record(
            2, "app", 20, 90, thread=2, kind="request", outcome="waited", wait_ns=90, of=1,
            statement=statement, names=names,
        ),
    )  # fmt: skip
    assert statements(found)[1] == [expected]
