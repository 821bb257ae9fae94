"""Events to where the application logs: its structlog, else JSON lines on stderr.

structlog is used only if the application has loaded *and* configured it. Importing it for our own
sake would load some 120 modules into the traced process for lines that ``json`` writes as well, and
unconfigured it prints to stdout, which belongs to the program.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from importtrace.exporters.events import Event, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from importtrace.exporters.correlation import Correlation
    from importtrace.records import Trace

LOGGER = "importtrace"


class LogExporter:
    """A trace's events, but those in ``told``: it adds the keys of those it tells."""

    def __init__(
        self,
        *,
        debug: bool,
        long_wait_ms: int,
        told: set[tuple[Any, ...]] | None = None,
        correlate: Correlation | None = None,
    ) -> None:
        self.loss: str | None = None
        self._debug = debug
        self._long_wait_ms = long_wait_ms
        self._told = set() if told is None else told
        self._correlate = correlate

    def export(self, trace: Trace) -> None:
        found = events(
            trace,
            debug=self._debug,
            long_wait_ms=self._long_wait_ms,
            correlate=self._correlate.of if self._correlate is not None else None,
        )
        new = [event for event in found if event.key not in self._told]
        self._told.update(event.key for event in new)
        self._emit(new, base={"pid": trace.header.get("pid")})

    def flush(self, timeout_s: float) -> bool:
        return self.loss is None

    def close(self) -> None:
        pass

    def _emit(self, events: Iterable[Event], base: dict[str, Any]) -> None:
        logger = _application_logger()
        for event in events:
            fields = {**base, **event.fields}
            if logger is not None:
                try:
                    _method(logger, event.level)(event.name, **fields)
                    continue
                except Exception as error:
                    # the application's processors: what they refuse, and all after it, is kept
                    logger = None
                    self.loss = (
                        f"the application's structlog raised {type(error).__name__}: {error} "
                        f"for {event.name}; its events follow as JSON lines"
                    )
            _write(event, fields)


def _application_logger() -> Any:
    structlog = sys.modules.get("structlog")
    try:
        if structlog is None or not structlog.is_configured():
            return None
        return structlog.get_logger(LOGGER).bind()
    except Exception:
        # half-imported, or a logger that cannot be made here: an AsyncBoundLogger needs a running
        # event loop, and nobody would await its methods
        return None


def _method(logger: Any, level: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(logger, level)
    return method


def _write(event: Event, fields: dict[str, Any]) -> None:
    from datetime import UTC, datetime

    line = json.dumps(
        {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": event.level,
            "logger": LOGGER,
            "event": event.name,
            **fields,
        },
        default=str,
    )
    stream = sys.stderr or sys.__stderr__
    if stream is not None:
        stream.write(line + "\n")  # one write, so that lines of other threads stay whole
        stream.flush()
