"""Ids that follow from the trace."""

from __future__ import annotations

from dataclasses import replace

from exporters_support import START, header, load, request
from hypothesis import given
from hypothesis import strategies as st

from importtrace.exporters import ids

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_process_is_told_from_others_by_host_pid_and_begin():
    """What may differ between two snapshots of one process is no part of it."""
    one = header(host="a")
    assert ids.identity(one) == ids.identity(one | {"end": "ready", "parent_pid": 7, "argv0": ""})
    others = [one | change for change in ({"host": "b"}, {"pid": 9}, {"start": START + 1})]
    assert len({ids.identity(each) for each in [one, *others]}) == 4
    assert ids.trace_id(one) != ids.root_id(one)


def test_a_record_keeps_its_id_when_a_later_snapshot_numbers_it_anew():
    """More records came before it."""
    record = load(2, "b")
    earlier = load(1, "a", start_ns=1)
    first = ids.span_ids(header(), [record])
    second = ids.span_ids(header(), [earlier, replace(record, id=77)])
    assert first[2] == second[77]


def test_records_that_nothing_tells_apart_differ_by_their_order():
    """Loads that had begun before us all begin at 0."""
    same = [load(1, "a", start_ns=0), load(2, "a", start_ns=0), request(3, "a", 1, start_ns=0)]
    found = ids.span_ids(header(), same)
    assert len(set(found.values())) == 3
    assert found == ids.span_ids(header(), same)


def test_a_given_parent_decides_the_trace():
    """The process continues it."""
    continued = header(traceparent=PARENT)
    assert format(ids.trace_id(continued), "032x") == PARENT.split("-")[1]
    assert ids.remote(continued) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert ids.root_id(continued) == ids.root_id(header())


@given(st.one_of(st.text(), st.integers(), st.none(), st.from_regex(r"[0-9a-f]{2}-0{32}-.*")))
def test_a_malformed_parent_is_none(value):
    """Whatever an environment or a damaged file holds."""
    assert ids.remote({"traceparent": value}) is None


@given(st.lists(st.text(max_size=8), max_size=20))
def test_ids_are_valid_whatever_modules_are_called(names):
    """64 bits, not zero, lone surrogates included."""
    records = [load(number, name) for number, name in enumerate(names, start=1)]
    for value in ids.span_ids(header(), records).values():
        assert 0 < value < 1 << 64
