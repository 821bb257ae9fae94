"""Trace files: a round trip loses nothing, a crash loses one line, and bad input is told in one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importtrace import tracefile
from importtrace.errors import TraceFileError
from importtrace.records import ImportRecord, ThreadRef, Trace

if TYPE_CHECKING:
    from pathlib import Path

HEADER: dict[str, Any] = {"type": "trace", "schema": 1, "start": 1_700_000_000_000_000_000}


def record(id: int, module: str = "m", **more: Any) -> ImportRecord:
    return ImportRecord(
        kind="load",
        id=id,
        module=module,
        outcome="ok",
        thread=ThreadRef(1, "MainThread", 1),
        start_ns=id,
        **more,
    )


def lines(*objects: object) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


# Everything a module name, a path or a message can hold: line separators, and the lone surrogates
# by which Python shows bytes that are not UTF-8.
any_text = st.text(
    st.characters(exclude_categories=("Cs",))
    | st.sampled_from("\x0b\x0c\x1c\x85\u2028\u2029\udc80\udcff")
)


@given(st.lists(st.tuples(any_text, any_text), max_size=5))
def test_what_was_written_is_what_is_read(texts: list[tuple[str, str]]) -> None:
    """The text of a trace, read again, is an equal trace, whatever characters names consist of."""
    records = tuple(
        record(at, module, origin=origin) for at, (module, origin) in enumerate(texts, start=1)
    )
    trace = Trace(header=HEADER, records=records)
    assert tracefile.parse(tracefile.dumps(trace), "t") == trace


def test_a_name_that_is_not_unicode_survives_the_disk(tmp_path: Path) -> None:
    """A path on Linux is bytes; Python shows odd ones as surrogates, which UTF-8 does not know."""
    path = os.fspath(tmp_path / "t.jsonl")
    odd = os.fsdecode(b"/srv/caf\xe9/m.py")
    trace = Trace(header=HEADER, records=(record(1, origin=odd),))
    tracefile.write(trace, path)
    assert tracefile.read(path) == trace


def test_unknown_lines_and_keys_are_passed_over() -> None:
    """A later version may add lines and keys; the reader takes what it knows, quietly."""
    text = lines(HEADER | {"mood": "fine"}, {"type": "weather"}, record(1).to_dict() | {"new": 1})
    trace = tracefile.parse(text, "t")
    assert (trace.records, trace.problems) == ((record(1),), ())


@given(st.integers(1, 60))
def test_a_cut_last_line_costs_only_itself(cut: int) -> None:
    """A process killed while it wrote leaves half a line; all lines before it are read."""
    whole = lines(HEADER, record(1).to_dict())
    last = json.dumps(record(2).to_dict())
    trace = tracefile.parse(whole + last[:cut], "t")
    assert trace.records == (record(1),)
    assert trace.problems == ("line 3: truncated, the process ended while writing",)


def test_a_broken_line_in_the_middle_is_named() -> None:
    """Damage that no crash explains is listed with its line number, and the rest is read."""
    text = lines(HEADER, record(1).to_dict()) + "{oops\n" + lines(record(2).to_dict())
    trace = tracefile.parse(text, "t")
    assert [one.id for one in trace.records] == [1, 2]
    assert trace.problems == ("line 3: not a JSON object",)


@pytest.mark.parametrize(
    "damage",
    [
        {"module": None},
        {"thread": "MainThread"},
        {"thread": {}},
        {"start_ns": "soon"},
        {"duration_ns": [1]},
        {"module": 5},
        {"id": {}},
        {"error": "no"},
        {"outcome": "green"},
    ],
)
def test_a_line_that_is_no_record_is_named(damage: dict[str, Any]) -> None:
    """A value of the wrong kind is a problem of its line, not a surprise for whoever sums it up."""
    text = lines(HEADER, record(1).to_dict() | damage, record(2).to_dict())
    trace = tracefile.parse(text, "t")
    assert [one.id for one in trace.records] == [2]
    assert len(trace.problems) == 1
    assert trace.problems[0].startswith("line 2: not an import record")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "not json\n",
        "[1, 2]\n",
        '{"type": "import"}\n',
        '{"type": "trace", "schema": 1}\n',
        "\x7fELF\x02\x01\x01\x00\ufffd\ufffd",
        "[" * 100_000,
    ],
    ids=["empty", "blank", "words", "list", "record", "no start", "binary", "deep"],
)
def test_a_foreign_file_is_refused_in_one_line(text: str) -> None:
    """What is no trace is named as such, with the command that makes one."""
    with pytest.raises(TraceFileError) as caught:
        tracefile.parse(text, "some.log")
    said = str(caught.value)
    assert "some.log" in said
    assert "importtrace run -o" in said
    assert "\n" not in said


def test_a_newer_schema_is_refused_by_its_number() -> None:
    """A later schema may mean other things by the same keys: the reader does not guess."""
    with pytest.raises(TraceFileError, match=r"schema 2, this importtrace reads 1"):
        tracefile.parse(lines(HEADER | {"schema": 2}), "t")


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    """Where the new trace cannot be written, the old one still stands, and nothing lies about."""
    path = tmp_path / "t.jsonl"
    trace = Trace(header=HEADER, records=(record(1),))
    tracefile.write(trace, os.fspath(path))
    before = path.read_bytes()
    bad = Trace(header={**HEADER, ("not", "a key"): 1}, records=())  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        tracefile.write(bad, os.fspath(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["absent.jsonl", "", "file/below.jsonl"])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, where: str) -> None:
    """Absent, a directory, below a file: one line with the path, the reason and what to do."""
    (tmp_path / "file").write_text("")
    path = os.fspath(tmp_path / where)
    with pytest.raises(TraceFileError, match="cannot read") as caught:
        tracefile.read(path)
    assert path in str(caught.value)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is written, whole."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "t.jsonl"
    try:
        link.symlink_to(tmp_path / "real" / "t.jsonl")
    except OSError:
        pytest.skip("no links here")
    tracefile.write(Trace(header=HEADER, records=()), os.fspath(link))
    assert link.is_symlink()
    assert tracefile.read(os.fspath(tmp_path / "real" / "t.jsonl")).header == HEADER


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """`-o /dev/null` as root must not make a file of it; a pipe gets the trace if somebody reads it."""
    pipe = os.fspath(tmp_path / "pipe")
    os.mkfifo(pipe)
    trace = Trace(header=HEADER, records=(record(1),))
    with pytest.raises(OSError, match=r"No such device|not configured"):
        tracefile.write(trace, pipe)  # nobody reads: it returns at once
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        tracefile.write(trace, pipe)
        assert os.read(reader, 1 << 16).decode() == tracefile.dumps(trace)
    finally:
        os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]
    tracefile.write(trace, os.devnull)
    assert not os.path.isfile(os.devnull)
