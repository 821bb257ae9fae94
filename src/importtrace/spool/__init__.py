"""Reads spool files: what a process had recorded when it was killed, or has recorded so far.

    trace = spool.read("/var/spool/importtrace/1700000000000-4242.spool")      # all there is
    reader = spool.Reader(path)
    reader.trace()                    # the same; a later call reads only what came since
    spool.files(folder)               # the spool files there, oldest first
    spool.is_spool(first_bytes)       # by the first 32 bytes of a file

The writing side is `_spool.py`; docs/spool.md describes the file. A spool file may be hostile, damaged
or growing: nothing in it is executed, memory is bounded, what cannot be read is listed in
``Trace.problems``. What is no spool file at all raises TraceFileError, one line.

Differences to a trace that the process itself delivers:

- ``id`` is stable: a record has the same in every reading of the file, also by another process, so one
  who follows a growing file can tell what is new by it. A load comes after its parent, by ``start_ns``.
- What is not over has no ``outcome``. ``header["open"]`` holds the ids of what is really open: by
  thread, what the thread is, or was, inside of. (Another record without outcome is over, though its end
  was not seen, as after an interrupt.) An open request is a thread that waits for another's load.
- ``header["end"]`` is ``running``; ``died`` (killed, crashed or ``os._exit``: there is no such process,
  and no word of its end); ``unknown`` (of another machine, or of a container that cannot be looked
  into); or what the process said: ``exit``, ``uninstalled``, ``stopped``. After any but ``running`` and
  ``unknown`` nothing comes any more: the state is looked up before the records are read.
- A cause and ``handled`` may come later than the failed record that they belong to: at the latest when
  the outermost load around it is over.
- ``versions`` is absent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from importtrace import _spool_folder as folders
from importtrace import _spool_format as layout
from importtrace.errors import TraceFileError
from importtrace.records import Trace
from importtrace.spool.build import Builder, header
from importtrace.spool.file import File
from importtrace.spool.known import Known, by_begin
from importtrace.spool.sources import Sources

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Reader:
    """One spool file, open: one that is rotated away meanwhile stays readable. A context manager; not
    for two threads at a time. Raises TraceFileError where the file is no spool file."""

    def __init__(self, path: str) -> None:
        self._file = File(path)
        self._known = Known(self._file.problem)
        self._sources = Sources(self._file.facts["start"])
        self._last = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def trace(self) -> Trace:
        """Everything up to now. Raises TraceFileError where the disk cannot be read."""
        file, known = self._file, self._known
        try:
            file.refresh()
            state = file.state()
            over = state in ("finished", "died")
            if not self._last:
                for event in file.events(over):
                    known.add(event)
            self._last = over
        except OSError as error:
            raise TraceFileError(
                f"cannot read {file.path!r}: {error.strerror or error}; check the disk"
            ) from error
        builder = Builder(known, file.facts["started_at"], self._sources, over=over)
        loads = (load for load in known.loads.values() if load.name and not load.void)
        records = tuple(
            builder.record(found)
            for found in by_begin([*loads, *known.finished_requests(), *known.open_requests()])
        )
        # who has written "finished" without a word of how has been cut off there
        end = "exit" if state == "finished" else state
        head = header(known, file.facts, file.number(layout.AT_LOST), end)
        if state != "finished":
            head["end"] = state
            head["open"] = self._open_ids()
        problems = list(file.problems)
        if file.head[layout.AT_FULL]:
            problems.append(
                "the file was full: later imports are missing, where threads were at the end, too"
            )
        return Trace(header=head, records=records, problems=tuple(problems))

    def _open_ids(self) -> list[int]:
        known, file = self._known, self._file
        if file.head[layout.AT_FULL] > 1:
            return []  # ends of loads are missing: what seems open need not be
        full_at = file.number(layout.AT_FULL_AT) if file.head[layout.AT_FULL] else 0
        return [
            found.id for found in by_begin([*known.open_loads(full_at), *known.open_requests()])
        ]


def read(path: str) -> Trace:
    """The whole of a spool file."""
    with Reader(path) as reader:
        return reader.trace()


def is_spool(head: bytes) -> bool:
    """Whether a file that begins so is a spool file."""
    return head.startswith(layout.MAGIC)


def files(folder: str) -> list[str]:
    """The spool files in a folder, oldest first; raises OSError."""
    return [os.path.join(folder, name) for name in folders.names(folder)]
