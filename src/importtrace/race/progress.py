"""One line on a terminal that says how far a search is; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time


class Progress:
    """Called as `progress(phase, done, total)`; total 0: unknown. `clear` takes the line away."""

    def __init__(self, wanted: bool = True) -> None:
        stream = sys.stderr
        self._on = wanted and stream is not None and stream.isatty()
        self._shown = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._on or now - self._shown < 0.1:
            return
        self._shown = now
        if total:
            width = 30
            full = width * done // total
            line = f"{phase} [{'#' * full}{'.' * (width - full)}] {done}/{total}"
        else:
            line = f"{phase}: {done}"
        sys.stderr.write(f"\r\033[K{line[:79]}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._on:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
