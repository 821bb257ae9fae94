"""Source text of import statements, for files that are still as the dead process read them."""

from __future__ import annotations

import os
import stat

from importtrace.analysis.statements import at_line

MOST_BYTES = 4 << 20
MOST_FILES = 5_000
MOST_IN_ALL = 128 << 20


class Sources:
    """``since_ns`` (epoch): a file changed after that may no longer be what was imported, and is not
    shown. The paths come from a file that may be hostile: only regular .py files are opened, never
    waited for, and only lines that are statements of import are told."""

    def __init__(self, since_ns: int) -> None:
        self._since_ns = since_ns
        self._files: dict[str, list[str]] = {}
        self._left = MOST_IN_ALL

    def statement(
        self, file: str, line: int, module: str
    ) -> tuple[str | None, tuple[str, ...] | None]:
        """The statement and, of a ``from`` import, its names; None where not known."""
        if not line or not file.endswith(".py"):
            return None, None
        lines = self._files.get(file)
        if lines is None:
            if len(self._files) >= MOST_FILES:
                return None, None
            lines = self._files[file] = self._read(file)
        statement, names = at_line(lines, line, module)
        if statement is None or "import" not in statement:
            return None, None
        return statement, names

    def _read(self, file: str) -> list[str]:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            fd = os.open(file, flags)
        except (OSError, ValueError):
            return []
        with open(fd, encoding="utf-8", errors="replace") as source:
            about = os.fstat(fd)
            size = min(about.st_size, MOST_BYTES)
            if (
                not stat.S_ISREG(about.st_mode)
                or about.st_mtime_ns > self._since_ns
                or about.st_size > MOST_BYTES
                or size > self._left
            ):
                return []
            self._left -= size
            try:
                return source.read(MOST_BYTES).splitlines()
            except (OSError, ValueError):
                return []
