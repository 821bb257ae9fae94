"""Damaged, cut off, hostile spool files: what can be read is read, the rest is said in a line."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spool_support import run, write

from importtrace import _spool_format as layout
from importtrace import spool, tracefile
from importtrace.errors import TraceFileError
from importtrace.records import ImportRecord, Trace
from importtrace.reports import causes, figures, text
from importtrace.spool import events, known

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The used part of a file with loads, failures, a cause, a wait."""
    folder = tmp_path_factory.mktemp("real")
    write(
        folder,
        {
            "a.py": "import b\nx = 1\n",
            "b.py": "from a import x\n",
            "pkg/__init__.py": "import pkg.one\n",
            "pkg/one.py": "import pkg\n",
        },
    )
    done = run(
        folder, "import pkg\ntry:\n    import a\nexcept ImportError:\n    pass\nimport json\n"
    )
    with open(done.files[0], "rb") as file:
        data = file.read()
    return data[: len(data.rstrip(b"\0")) + 64]


def _readable(path: Path) -> Trace | None:
    """The trace, checked whole; None where the file is refused with one line."""
    try:
        trace = tracefile.read(str(path))
    except TraceFileError as error:
        if "\n" in str(error):
            raise
        return None
    ids = [record.id for record in trace.records]
    assert len(set(ids)) == len(ids)
    for record in trace.records:
        assert ImportRecord.from_dict(record.to_dict()) == record
    text.report(trace, "damaged")
    causes.report(trace, "damaged", everything=True)
    figures.figures(trace, "damaged")
    tracefile.parse(tracefile.dumps(trace), "again")
    return trace


SLOW = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Real:
    """The file; a short name for it where Hypothesis prints arguments. ``used``: offsets of what was
    written, among 100 KiB of zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.used = [at for at, byte in enumerate(data) if byte]


@pytest.fixture(scope="module")
def true(real: bytes) -> Real:
    return Real(real)


def _told(trace: Trace) -> set[tuple[str | None, int, int | None]]:
    return {(one.module, one.start_ns, one.thread.serial) for one in trace.records}


@SLOW
@given(share=st.floats(0, 1))
def test_any_beginning_of_a_file_is_read(true: Real, tmp_path: Path, share: float) -> None:
    """What is there is told; it is never more than the whole file tells."""
    path = tmp_path / "cut"
    path.write_bytes(true.data)
    whole = _readable(path)
    assert whole is not None
    path.write_bytes(true.data[: true.used[int((len(true.used) - 1) * share)]])
    part = _readable(path)
    if part is not None:
        assert _told(part) <= _told(whole)


@SLOW
@given(data=st.data())
def test_any_damage_is_survived(true: Real, tmp_path: Path, data: st.DataObject) -> None:
    """Bytes changed, anywhere, to anything: a valid trace or one clear line."""
    damaged = bytearray(true.data)
    for _ in range(data.draw(st.integers(1, 8))):
        which = data.draw(st.integers(0, len(true.used) - 1))
        at = data.draw(st.one_of(st.just(true.used[which]), st.integers(0, 300)))
        new = data.draw(st.binary(min_size=1, max_size=40))
        damaged[at : at + len(new)] = new
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    _readable(path)


@SLOW
@given(
    body=st.lists(
        st.one_of(st.binary(max_size=200), st.text("bisxeErtcuyz 0123456789\x1f{}")), max_size=40
    )
)
def test_records_that_nobody_wrote(real: bytes, tmp_path: Path, body: list[bytes | str]) -> None:
    """Made-up records after a true head."""
    path = tmp_path / "made"
    made = b"".join(
        b"\xff" + (one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one)
        for one in body
    )
    path.write_bytes(real[: layout.PAGE] + made)
    _readable(path)


def test_one_damaged_text_costs_that_text_only(real: bytes, tmp_path: Path) -> None:
    """The marks let a reader find the next one."""
    path = tmp_path / "damaged"
    start = real.index(b"\xffx") + 1
    assert b"ImportError" in real[start : start + 200]
    path.write_bytes(real[:start] + b"?" + real[start + 1 :])
    part = _readable(path)
    assert part is not None
    assert len(part.problems) == 1
    assert part.problems[0].startswith(f"byte {start - 1}: no record")
    assert {"a", "b", "json.encoder"} <= {one.module for one in part.records}


@pytest.mark.parametrize(
    ("offset", "byte"),
    [
        (layout.AT_BEGIN + 7, 0xFF),  # a begin before time began
        (layout.AT_BEGIN + 23, 0x80),  # flags that there are not
        (layout.AT_BEGIN + 24, 0x80),  # a name that is no UTF-8
        (layout.AT_BODY - 3, 0x01),  # a mark that is none
        (layout.AT_BODY + 7, 0xFF),
        (7, 0xFF),
    ],
)
def test_one_damaged_slot_costs_that_slot_only(
    real: bytes, tmp_path: Path, offset: int, byte: int
) -> None:
    """The ones beside it are where they were."""
    path = tmp_path / "damaged"
    path.write_bytes(real)
    whole = _readable(path)
    assert whole is not None
    (record,) = [one for one in whole.records if one.module == "json.encoder"]
    path.write_bytes(real[: record.id + offset] + bytes([byte]) + real[record.id + offset + 1 :])
    part = _readable(path)
    assert part is not None
    assert part.problems == (f"byte {record.id}: no record (damaged slot)",)
    assert _told(whole) - _told(part) <= {(record.module, record.start_ns, record.thread.serial)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:40], "is cut off in its first page"),
        (lambda data: data[:24] + b"\x09\0\0\0" + data[28:], "has spool version 9"),
        (lambda data: data.replace(b'"pid":', b'"pod":'), "its head does not say whose it is"),
        (lambda data: data[:160] + bytes(3936) + data[4096:], "its head does not say whose it is"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    real: bytes, tmp_path: Path, change: Callable[[bytes], bytes], says: str
) -> None:
    """One line, exit code 2."""
    path = tmp_path / "bad"
    path.write_bytes(change(real))
    for command in ("explain", "report"):
        done = subprocess.run(
            [sys.executable, "-m", "importtrace", command, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("importtrace: ")
        assert done.stderr.count("\n") == 1
        assert says in done.stderr


def test_a_file_of_a_million_imports_is_read_up_to_a_bound(
    real: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a hostile file cannot fill the memory."""
    monkeypatch.setattr(known, "MOST_RECORDS", 1_000)
    path = tmp_path / "many"
    made = b"".join(b"\xffb1 %d 0 0 1 0\x1fm%d\x1f\x1f" % (n + 1, n) for n in range(3_000))
    path.write_bytes(real[: layout.PAGE] + made)
    trace = spool.read(str(path))
    assert len(trace.records) == 1_000
    assert "more than 1,000 imports: the rest is not read" in trace.problems


def test_loads_that_are_each_others_parents(real: bytes, tmp_path: Path) -> None:
    """No ring, and no chain of parents in the future, keeps a reader busy."""
    path = tmp_path / "ring"
    made = b"".join(b"\xffb1 %d 1 %d 1 0\x1fm\x1f\x1f" % (n, n % 50 + 1) for n in range(1, 51))
    path.write_bytes(real[: layout.PAGE] + made)
    assert _readable(path) is not None


def _slots(count: int, parent: Callable[[int], int]) -> bytes:
    """A segment with ``count`` slots; ``parent`` of a slot's number is another's."""
    segment = bytearray(layout.SEGMENT)
    segment[0] = layout.SLOTS
    base = 2 << layout.SHIFT
    for number in range(1, count + 1):
        above = parent(number)
        fields = (number * 10, base + above * layout.SLOT if above else 0, 1, 0, 0, 0)
        struct.pack_into(
            layout.BEGIN, segment, number * layout.SLOT + layout.AT_BEGIN,
            *fields, b"m%d" % number, layout.MARK,
        )  # fmt: skip
    return bytes(segment)


@pytest.mark.parametrize(
    "parent",
    [
        lambda number: number % 400 + 1,  # a ring of all
        lambda number: number,
        lambda number: 0,
        lambda number: 454,  # which is none
    ],
)
def test_slots_whose_thread_nobody_knows(
    real: bytes, tmp_path: Path, parent: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says that its parent's thread is its own, and no parent says whose: read once, and refused."""
    reads = 0
    read = os.pread

    def counted(*arguments: int) -> bytes:
        nonlocal reads
        reads += 1
        return read(*arguments)

    path = tmp_path / "made"
    text = b"\xfft1 5\x1fMainThread"
    text += bytes((2 << layout.SHIFT) - layout.PAGE - len(text))
    path.write_bytes(real[: layout.PAGE] + text + _slots(400, parent))
    monkeypatch.setattr(os, "pread", counted)
    trace = _readable(path)
    assert trace is not None
    assert trace.records == ()
    assert trace.problems[-1] == "and more of the kind"
    assert reads < 20_000


@pytest.mark.parametrize(
    "record",
    [b"", b"\n", b"b1 2 3", b"z" * 70_000, b"c1 1\x1f" + b"[" * 60_000, b"b" + b"9" * 5000],
)
def test_what_is_no_record(record: bytes) -> None:
    """It is refused as such, whatever its size and depth."""
    with pytest.raises(events.Damaged):
        _parse(record)


def _parse(record: bytes) -> None:
    event = events.parse(record, 0)
    assert event is not None
    events.parse_json(event.strings[0])


def test_statements_are_shown_only_from_files_that_did_not_change(tmp_path: Path) -> None:
    """A file edited since, a pipe, a device: none is quoted, and none is waited for."""
    write(tmp_path, {"one.py": "import two\n", "two.py": "import three\n", "three.py": ""})
    done = run(tmp_path, "import one\n")
    os.utime(tmp_path / "one.py", (2_000_000_000, 2_000_000_000))
    (tmp_path / "two.py").unlink()
    os.mkfifo(tmp_path / "two.py")
    shown = {
        record.module: record.importer.statement
        for record in done.trace.records
        if record.importer is not None
    }
    assert shown["one"] == "import one"
    assert shown["two"] is None
    assert shown["three"] is None


def test_a_pipe_of_that_name_is_refused(tmp_path: Path) -> None:
    """It would hang a reader that opens it as a file."""
    os.mkfifo(tmp_path / "1-1.spool")
    with pytest.raises(TraceFileError, match="is no regular file"):
        spool.read(str(tmp_path / "1-1.spool"))
