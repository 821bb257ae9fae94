"""The note of what was accepted."""

from __future__ import annotations

import json
import os
import time

import pytest
from exporters_support import header
from hypothesis import given
from hypothesis import strategies as st

from importtrace.errors import ShippingError
from importtrace.shipping import positions
from importtrace.shipping.positions import Positions


@pytest.fixture
def notes(tmp_path):
    """A folder of them, and how to open it anew."""
    opened = []

    def open_():
        while opened:
            opened.pop().close()
        opened.append(Positions(str(tmp_path / "state")))
        return opened[0]

    yield open_
    while opened:
        opened.pop().close()


def test_what_was_accepted_is_known_to_the_next_process(notes):
    """Of that trace and no other."""
    notes().of(header()).accept([1, (1 << 64) - 1])
    assert notes().of(header()).accepted == {1, (1 << 64) - 1}
    assert notes().of(header(pid=5)).accepted == set()


def test_a_finished_trace_needs_no_ids(notes, tmp_path):
    """Its file stays small whatever the trace was."""
    position = notes().of(header())
    position.accept(range(1, 10_001))
    position.finish()
    again = notes().of(header())
    assert again.complete
    assert again.sent == 10_000
    assert sum(path.stat().st_size for path in (tmp_path / "state").iterdir()) < 200


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"accepted": 5}', '{"accepted": "!"}', "[" * 10_000]
)
def test_a_damaged_note_is_none(notes, tmp_path, text):
    """What it cost is that spans are sent again, with the ids they had."""
    notes().of(header()).accept([1])
    (path,) = (tmp_path / "state").glob("*.json")
    path.write_text(text)
    assert not notes().of(header()).complete


def test_only_one_process_at_a_time(notes, tmp_path):
    """The second would send everything again."""
    notes()
    with pytest.raises(ShippingError, match="another importtrace ship works with"):
        Positions(str(tmp_path / "state"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    """With the option that helps."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ShippingError, match="use --state with a writable folder"):
        Positions(str(tmp_path / "file" / "state"))


def test_nothing_is_noted_by_halves(notes, tmp_path, monkeypatch):
    """A full disk leaves the last note, and stops us: else everything would be sent again."""
    position = notes().of(header())
    position.accept([1])

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(positions.os, "fsync", full)
        with pytest.raises(ShippingError, match="No space left"):
            position.accept([2])
    assert notes().of(header()).accepted == {1}


def test_old_notes_are_forgotten(notes, tmp_path):
    """Those of traces that nobody has seen for two weeks; the folder does not grow for ever."""
    notes().of(header()).accept([1])
    notes().of(header(pid=2)).accept([1])
    folder = tmp_path / "state"
    first = sorted(folder.glob("*.json"))[0]
    old = time.time() - positions.KEPT_S - 60
    os.utime(first, (old, old))
    notes()
    assert len(list(folder.glob("*.json"))) == 1


@given(st.sets(st.integers(min_value=0, max_value=(1 << 64) - 1), max_size=50))
def test_ids_survive_the_file(ids):
    """Packed and unpacked."""
    text = json.loads(json.dumps(positions._pack(ids)))
    assert set(positions._unpack(text)) == ids
