"""A program that hangs in an import, and what importtrace says of it meanwhile.

The program goes on when the test says so: it reads a line from its stdin (`GO` in a module's body).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

from capture_support import environment, installing, write

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

WAIT_S = 30.0
STALL_S = 0.3
GO = "import sys; sys.stdin.readline()"


class Hanging:
    """A running program; a context manager that leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        program: str,
        files: dict[str, str],
        *,
        mode: str = "auto",
        env: dict[str, str] | None = None,
        flags: tuple[str, ...] = (),
        **settings: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, files)
        self.folder = folder
        self.trace = folder / "trace-{pid}.jsonl"
        settings = {"log": "info", "stall_seconds": STALL_S, **settings}
        start = installing(mode, self.trace, **settings)
        (folder / "program.py").write_text(f"{start}\n{textwrap.dedent(program).lstrip()}")
        self.process = subprocess.Popen(
            [sys.executable, "-u", *flags, "program.py"],
            cwd=folder,
            env=environment(PYTHONDONTWRITEBYTECODE="1", **(env or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # its children go with it
        )
        self._bound = threading.Timer(2 * WAIT_S, self._kill)
        self.lines: list[str] = []
        self.seen: list[dict[str, Any]] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._out: list[str] = []
        self._printed: queue.Queue[str] = queue.Queue()
        self._other: list[Any] = []  # printed, and not asked for yet
        self._stdout = threading.Thread(target=self._read_out, daemon=True)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._queue.put(line)
        self._queue.put(None)

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._out.append(line)
            self._printed.put(line)

    def printed(self, kind: type) -> Any:
        """The next line of JSON on its stdout, or its children's, that is of that kind."""
        for found in self._other:  # a child and its parent print in any order
            if type(found) is kind:
                self._other.remove(found)
                return found
        while True:
            try:
                found = json.loads(self._printed.get(timeout=WAIT_S))
            except queue.Empty:
                raise AssertionError(f"printed no {kind}: {self._out}; said: {self.said}") from None
            except ValueError:
                continue
            if type(found) is kind:
                return found
            self._other.append(found)

    def __enter__(self) -> Self:
        self._reader.start()
        self._stdout.start()
        self._bound.start()
        return self

    def _kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass  # nobody is left

    def __exit__(self, *error: object) -> None:
        self._bound.cancel()
        self._kill()
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        self._stdout.join(WAIT_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass

    def event(self, name: str) -> dict[str, Any]:
        """The next event of that name; fails with what was said instead."""
        while True:
            try:
                line = self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                raise AssertionError(f"no {name} within {WAIT_S} s; said: {self.said}") from None
            if line is None:
                raise AssertionError(f"ended without {name}; said: {self.said}")
            self.lines.append(line)
            if line.startswith("{"):
                event: dict[str, Any] = json.loads(line)
                self.seen.append(event)
                if event["event"] == name:
                    return event

    def more(self) -> None:
        """Waits for the next line that it says."""
        line = self._queue.get(timeout=WAIT_S)
        assert line is not None, f"ended; said: {self.said}"
        self.lines.append(line)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, code: int = 0) -> str:
        """Waits for the end; what it printed. Reads the rest of its events."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._stdout.join(2 * WAIT_S)
        out = "".join(self._out)
        assert self.process.wait(WAIT_S) == code, f"{out}\n{self.said}"
        while (line := self._queue.get(timeout=WAIT_S)) is not None:
            self.lines.append(line)
            if line.startswith("{"):
                self.seen.append(json.loads(line))
        return out

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["event"] == name]

    def header(self, pid: int | None = None) -> dict[str, Any]:
        """The first line of a process's trace file."""
        path = self.folder / f"trace-{pid or self.process.pid}.jsonl"
        return dict(json.loads(path.read_text().splitlines()[0]))

    def wait_for_header(self, pid: int) -> dict[str, Any]:
        """As ``header``, of a process that still runs; a file appears whole or not at all."""
        deadline = time.monotonic() + WAIT_S
        while not (self.folder / f"trace-{pid}.jsonl").exists():
            assert time.monotonic() < deadline, f"no trace of {pid}; said: {self.said}"
            time.sleep(0.02)
        return self.header(pid)


def by_name(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The threads of a report, by name."""
    return {one["thread"]["name"]: one for one in event["threads"]}
