"""Which files hold a trace, and what is in them by now.

Files are somebody else's: they may be damaged, hostile, half-written or vanish meanwhile. Only regular
files are opened in a folder, and none above ``LARGEST`` bytes.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace import spool, tracefile
from importtrace.errors import TraceFileError

if TYPE_CHECKING:
    from collections.abc import Collection

    from importtrace.records import Trace

LARGEST = 256 << 20
_HEAD = 512
_RUNNING = ("running", "unknown")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds a trace. ``stamp`` changes when the file does, but for a ``spool``, which is
    written through shared memory."""

    path: str
    stamp: tuple[int, ...]
    spool: bool


@dataclass(frozen=True, slots=True)
class Content:
    """``state`` is ``over`` (nothing will be added), ``running`` or ``unknown``.

    ``open`` are the records that something may still be added to, of a process that runs.
    """

    trace: Trace
    state: str
    open: frozenset[int] = frozenset()

    @property
    def started(self) -> bool:
        """Whether the start-up is over, so that its figures are known."""
        return self.state == "over" or self.trace.header.get("ready_ns") is not None


def look(path: str) -> list[Source]:
    """The trace files at ``path``, a file or a folder, oldest first.

    Raises TraceFileError if there is nothing of that name, or the one file is no trace. What else lies
    in a folder is passed over.
    """
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            found = _source(path)
            if found is None:
                raise TraceFileError(f"{path!r} is no trace; name a trace file or their folder")
            return [found]
        names = os.listdir(path)
    except OSError as error:
        raise TraceFileError(f"cannot read {path!r}: {error.strerror}; check the path") from error
    found_here = []
    for name in names:
        if name.startswith(".") or name.endswith(".part"):
            continue
        full = os.path.join(path, name)
        try:
            if stat.S_ISREG(os.lstat(full).st_mode):
                found_here.append(_source(full))
        except OSError:
            continue  # gone, or not ours to read
    return sorted((s for s in found_here if s is not None), key=lambda s: (s.stamp[-1], s.path))


def _source(path: str) -> Source | None:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        about = os.fstat(file.fileno())
    spooled = spool.is_spool(head[:32])
    if not spooled and not _like_a_trace(head):
        return None
    return Source(path, (about.st_ino, about.st_size, about.st_mtime_ns), spooled)


def _like_a_trace(head: bytes) -> bool:
    return head.lstrip().startswith(b"{") and b'"trace"' in head


class Shelf:
    """Reads sources; keeps spool files open, so that of a growing one only what is new is read."""

    def __init__(self) -> None:
        self._readers: dict[str, tuple[int, spool.Reader]] = {}  # path -> inode

    def read(self, source: Source) -> Content:
        """Raises TraceFileError, one line, for what cannot be read."""
        if source.stamp[1] > LARGEST:
            raise TraceFileError(
                f"{source.path!r} has {source.stamp[1] >> 20} MiB, more than the {LARGEST >> 20} MiB "
                "that are read; nothing of it is sent"
            )
        if not source.spool:
            trace = tracefile.read(source.path)
            _check(trace.header, source.path)
            # a trace file is written at the ready mark, and again, whole, at exit
            running = trace.header.get("end") in ("ready", "snapshot")
            return Content(trace, "running" if running else "over")
        trace = self._reader(source).trace()
        _check(trace.header, source.path)
        end = str(trace.header.get("end"))
        if end in _RUNNING:
            return Content(trace, end, _unsettled(trace))
        self.forget(source.path)
        return Content(trace, "over")

    def forget(self, path: str) -> None:
        """It is gone, or done with."""
        known = self._readers.pop(path, None)
        if known is not None:
            known[1].close()

    def keep_only(self, paths: Collection[str]) -> None:
        """Forget all others."""
        for path in [path for path in self._readers if path not in paths]:
            self.forget(path)

    def _reader(self, source: Source) -> spool.Reader:
        inode = source.stamp[0]
        known = self._readers.get(source.path)
        if known is not None and known[0] == inode:
            return known[1]
        self.forget(source.path)
        reader = spool.Reader(source.path)
        self._readers[source.path] = inode, reader
        return reader


def _unsettled(trace: Trace) -> frozenset[int]:
    """Of a spool: what is not over, and the failures whose cause is told with the load around them."""
    given = trace.header.get("open")
    open_ids = {id for id in given if type(id) is int} if isinstance(given, list) else set()
    inside = set(open_ids)
    for record in trace.records:  # parents come before their children
        if record.parent in inside:
            inside.add(record.id)
    unsure = {
        record.id
        for record in trace.records
        if record.outcome is None or (record.outcome == "failed" and record.id in inside)
    }
    return frozenset(open_ids | unsure)


def _check(header: dict[str, Any], path: str) -> None:
    """That what decides about times and ids is what it should be."""
    for key in ("start", "pid", "ready_ns", "dropped"):
        value = header.get(key, 0)
        if type(value) is not int or not 0 <= value < 1 << 63:
            raise TraceFileError(
                f"{path!r} is damaged: its {key} is {value!r:.40}; nothing is sent"
            )
