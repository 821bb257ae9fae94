"""Records: what is known is kept, what is not is absent, and JSON and back loses nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importtrace.records import Importer, ImportRecord, ThreadRef, Trace

text = st.text(max_size=12)
times = st.none() | st.integers(0, 2**63)
details = st.none() | st.dictionaries(text, text | st.integers() | st.none(), max_size=3)
names = st.none() | st.lists(text, max_size=3).map(tuple)
flags = st.none() | st.booleans()

records = st.builds(
    ImportRecord,
    kind=st.sampled_from(["load", "request"]),
    id=st.integers(0, 2**31),
    module=text,
    outcome=st.sampled_from(["ok", "failed", "partial", "waited", None]),
    thread=st.builds(
        ThreadRef, id=st.integers(0), name=st.none() | text, serial=st.none() | st.integers(0)
    ),
    start_ns=st.integers(0, 2**63),
    parent=st.none() | st.integers(0),
    of=st.none() | st.integers(0),
    duration_ns=times,
    find_ns=times,
    load_ns=times,
    exec_ns=times,
    wait_ns=times,
    self_ns=times,
    importer=st.none()
    | st.builds(
        Importer,
        file=st.none() | text,
        line=st.none() | st.integers(1),
        module=st.none() | text,
        statement=st.none() | text,
    ),
    names=names,
    held_by=details,
    bound_names=names,
    origin=st.none() | text,
    loader=st.none() | text,
    finder=st.none() | text,
    bytecode=st.none() | st.sampled_from(["hit", "compiled", "none", "unknown"]),
    error=details,
    handled=flags,
    cause=details,
    implied=flags,
    reload=flags,
    harmless_requests=st.none() | st.integers(0),
)


@given(records)
def test_a_record_survives_its_dict_and_json(record: ImportRecord) -> None:
    """to_dict(), JSON and from_dict() give back an equal record."""
    data = json.loads(json.dumps(record.to_dict()))
    assert ImportRecord.from_dict(data) == record


@given(records)
def test_what_was_not_observed_is_absent(record: ImportRecord) -> None:
    """No key of the record, its thread or its importer says null; the key is not there."""
    data = record.to_dict()
    assert None not in data.values()
    assert None not in data["thread"].values()
    assert None not in data.get("importer", {}).values()
    assert data["type"] == "import"


def test_keys_of_a_later_version_are_ignored() -> None:
    """A reader takes what it knows from a line and leaves the rest."""
    data: dict[str, Any] = {
        "type": "import",
        "kind": "load",
        "id": 1,
        "module": "m",
        "outcome": "ok",
        "thread": {"id": 7, "colour": "blue"},
        "start_ns": 0,
        "weight": 3,
        "importer": {"file": "a.py", "column": 4},
    }
    record = ImportRecord.from_dict(data)
    assert (record.thread, record.importer) == (ThreadRef(7), Importer(file="a.py"))


@pytest.mark.parametrize("key", ["kind", "id", "module", "thread", "start_ns"])
def test_a_line_without_a_needed_key_is_no_record(key: str) -> None:
    """The five keys that every record has are needed; without one, KeyError or TypeError."""
    data: dict[str, Any] = {
        "kind": "load",
        "id": 1,
        "module": "m",
        "outcome": "ok",
        "thread": {"id": 7},
        "start_ns": 0,
    }
    del data[key]
    with pytest.raises((KeyError, TypeError)):
        ImportRecord.from_dict(data)


def test_records_cannot_be_changed() -> None:
    """A trace is evidence: nobody who reads it can alter it."""
    record = ImportRecord(
        kind="load", id=1, module="m", outcome="ok", thread=ThreadRef(1), start_ns=0
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.module = "n"  # type: ignore[misc]


def test_a_trace_tells_loads_and_explained_failures() -> None:
    """`loads` leaves requests out; `failures` are the records that carry a cause."""
    thread = ThreadRef(1)
    one = ImportRecord(kind="load", id=1, module="a", outcome="ok", thread=thread, start_ns=0)
    two = dataclasses.replace(one, id=2, kind="request", outcome="partial")
    three = dataclasses.replace(one, id=3, outcome="failed", cause={"kind": "circular"})
    four = dataclasses.replace(one, id=4, outcome="failed")
    trace = Trace(header={"start": 1_700}, records=(one, two, three, four))
    assert trace.loads == (one, three, four)
    assert trace.failures == (three,)
    assert trace.start_ns == 1_700
