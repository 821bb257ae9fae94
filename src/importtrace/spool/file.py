"""The bytes of a spool file: its head, and its records as they come, segment by segment.

Read with pread(), never mapped: a file that somebody truncates must not end the reader.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from importtrace import _spool_folder as folders
from importtrace import _spool_format as layout
from importtrace.errors import TraceFileError
from importtrace.spool.events import Damaged, Event, parse, parse_json
from importtrace.spool.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = layout.MOST_BYTES
MOST_PROBLEMS = 20
_MARK = bytes([layout.MARK])
_SLOTS = bytes([layout.SLOTS])


class File:
    """One open spool file; raises TraceFileError where it is none, or cannot be opened.

    ``head`` holds the bytes of the first page as last read, ``facts`` what the process said of itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[str] = []
        self._cursors: dict[int, int] = {}
        self._slots = Slots(self._read_at, self.problem)
        # O_NONBLOCK: a FIFO of that name must not hang us
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            self._fd = os.open(path, flags)
        except OSError as error:
            raise TraceFileError(
                f"cannot read {path!r}: {error.strerror}; check the path"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise TraceFileError(f"{path!r} is no regular file; name a spool file")
            self.refresh()
            self.facts = self._read_facts()
        except OSError as error:
            self.close()
            raise TraceFileError(f"cannot read {path!r}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def refresh(self) -> None:
        """Read the head again: state, losses."""
        self.head = os.pread(self._fd, layout.PAGE, 0)

    def number(self, at: int, size: int = 8) -> int:
        return folders.number(self.head, at, size)

    def state(self) -> str:
        """``running``, ``finished``, ``died`` or ``unknown``."""
        if os.name != "posix":
            return "finished" if self.head[layout.AT_STATE] == 1 else "unknown"
        return folders.process_state(self._fd, self.head)

    def _read_facts(self) -> dict[str, Any]:
        path, head = self.path, self.head
        if not head.startswith(layout.MAGIC):
            raise TraceFileError(f"{path!r} is no spool file; see docs/spool.md")
        if len(head) < layout.PAGE:
            raise TraceFileError(f"{path!r} is cut off in its first page: nothing can be read")
        version = self.number(layout.AT_VERSION, 4)
        if version != layout.VERSION:
            raise TraceFileError(
                f"{path!r} has spool version {version}, this importtrace reads {layout.VERSION}; "
                "use the version that wrote it"
            )
        length = self.number(layout.AT_FACTS, 4)
        text = head[layout.AT_FACTS + 4 : layout.AT_FACTS + 4 + min(length, layout.MOST_FACTS)]
        try:
            facts = parse_json(text.decode("utf-8", "surrogatepass"))
            for key in ("start", "started_at", "pid"):
                if type(facts.get(key)) is not int or not 0 <= facts[key] < 1 << 63:
                    raise Damaged(f"no {key}")
        except ValueError as error:
            raise TraceFileError(
                f"{path!r} is damaged: its head does not say whose it is"
            ) from error
        return facts

    def events(self, last: bool) -> Iterator[Event]:
        """What was written since the last call, by segments.

        ``last``: the process writes no more. Else what does not parse may be half-written yet, and is
        looked at again by the next call.
        """
        size = min(os.fstat(self._fd).st_size, MOST_BYTES)
        # Texts first: what a slot needs of them was there before it.
        for segment in range((size + layout.SEGMENT - 1) >> layout.SHIFT):
            for event in self._segment(segment, last):
                self._slots.learn(event)
                yield event
        yield from self._slots.events(last)
        if last and os.fstat(self._fd).st_size > MOST_BYTES:
            self.problem(f"larger than {MOST_BYTES >> 20} MiB: the rest is not read")

    def _segment(self, segment: int, last: bool) -> Iterator[Event]:
        base = segment << layout.SHIFT
        at = self._cursors.get(segment, base or layout.PAGE)
        first = os.pread(self._fd, 1, at)
        if first in (b"", b"\0"):
            return  # nothing new
        if first == _SLOTS and at == base:
            self._slots.add(base)
            return
        data = os.pread(self._fd, base + layout.SEGMENT - at, at)
        start = 0
        while start < len(data) and data[start]:
            marked = data[start] == layout.MARK
            end = _next_mark(data, start + 1)
            event = None
            try:
                if not marked:
                    raise Damaged("no mark")
                event = parse(data[start + 1 : end], at + start)
            except Damaged as error:
                if not last:
                    break
                self.problem(f"byte {at + start}: no record ({error})")
            start = end
            self._cursors[segment] = at + start
            if event is not None:
                yield event

    def _read_at(self, at: int, size: int) -> bytes:
        return os.pread(self._fd, size, at)

    def problem(self, line: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(line)
        elif len(self.problems) == MOST_PROBLEMS:
            self.problems.append("and more of the kind")


def _next_mark(data: bytes, start: int) -> int:
    """Where the text that begins at ``start`` ends: at a mark, at a NUL, or with the data."""
    zero = data.find(b"\0", start)
    end = len(data) if zero < 0 else zero
    mark = data.find(_MARK, start, end)
    return mark if mark >= 0 else end
