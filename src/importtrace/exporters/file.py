"""The trace file: ``config.file`` with ``{pid}`` filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importtrace import tracefile

if TYPE_CHECKING:
    from importtrace.records import Trace


class FileExporter:
    """Writes the file whole or leaves what stood there."""

    def __init__(self, path: str) -> None:
        self.loss: str | None = None
        self._path = path

    def export(self, trace: Trace) -> None:
        # not str.format: a path may hold other braces
        path = self._path.replace("{pid}", str(trace.header.get("pid", "")))
        try:
            tracefile.write(trace, path)
        except OSError as error:
            self.loss = (
                f"cannot write the trace to {path!r}: {error.strerror or error}; "
                "name a path in a writable folder (run -o, IMPORTTRACE_FILE)"
            )

    def flush(self, timeout_s: float) -> bool:
        return self.loss is None

    def close(self) -> None:
        pass
