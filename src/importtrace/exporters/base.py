"""What an exporter is: three verbs, and the truth about what did not arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from importtrace.records import Trace


class Exporter(Protocol):
    """Takes a trace somewhere. One trace, then ``flush``, then ``close``; not used by two threads.

    ``loss`` is one line for people, naming what was lost, why and what next; None: nothing that is
    known of. An exporter raises only what it cannot describe; ``deliver`` turns that into a line.
    """

    loss: str | None

    def export(self, trace: Trace) -> None:
        """Send ``trace``, or start to."""

    def flush(self, timeout_s: float) -> bool:
        """True if all that was exported has left within ``timeout_s`` seconds."""

    def close(self) -> None:
        """Let go of files, threads and processes; what was not flushed may be lost."""
