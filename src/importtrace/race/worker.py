"""One warm interpreter, and the child that it forks for each job. Only `Runner` uses this.

A job is a dict of plain values; what comes back is `Ended`: how the child ended and what it wrote. A child
may crash, exit, hang, fork, start servers: the job ends all the same, within its limit and a grace.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from importtrace.race._limits import MOST_LIMITS, later
from importtrace.race.errors import InputError

END = b"\nimporttrace:end\n"  # as `_child` writes it, which loads on POSIX only
_RELEASE = re.compile(r"3\.\d+t?")
GRACE_S = 2.0  # a child with threads notices its limit itself, and says what it was at
_LAST_WORDS_S = 0.2  # between the signal that makes it write its stacks and SIGKILL
_START_S = 30.0
_MOST_RESULT = 64 << 20
_ROOT = str(Path(__file__).resolve().parents[2])

# Loads the package from where it is, without touching sys.path: the interpreter may be another one, in
# which it is not installed. No import statement before that: `site` has loaded what it has, no more.
_BOOT = """\
import sys
def boot(root, *numbers):
    if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
        sys.exit("it is %s %s, and CPython 3.11 or later is needed"
                 % (sys.implementation.name, sys.version.split()[0]))
    find = sys.modules["_frozen_importlib_external"].spec_from_file_location
    home = root + "/importtrace"
    load = sys.modules["_frozen_importlib"]._load
    load(find("importtrace", home + "/__init__.py", submodule_search_locations=[home]))
    import importtrace.race._warm as warm
    warm.serve(*map(int, numbers))
if __name__ == "__main__":
    boot(*sys.argv[1:])
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """`written` is None where the child did not come to write it; `killed`: by us, at its limit; `slow`:
    and bodies began until shortly before."""

    status: int
    killed: bool
    written: dict[str, Any] | None
    mark: str | None
    crash: str
    seconds: float
    slow: bool = False


def executable(python: str) -> str:
    """The file of an interpreter: `python` itself, or, of "3.13", the `python3.13` that is on PATH.

    Raises InputError where there is none of that release.
    """
    if not _RELEASE.fullmatch(python) or os.path.exists(python):
        return python
    found = shutil.which(f"python{python}")
    if found is None:
        raise InputError(f"there is no python{python} on PATH; name the interpreter's file")
    return found


class Worker:
    """Starts at the first job; starts again if its interpreter has died."""

    def __init__(self, python: str, once: bool = False) -> None:
        self.python = executable(python)
        self.version = ""
        self._once = once
        self._process: subprocess.Popen[bytes] | None = None
        self._requests = self._replies = -1
        self._buffer = b""
        self._child = 0
        self._began = 0.0
        self._deadline = 0.0
        self._warned = 0.0
        self._killed = self._slow = False
        self._limit_s = 0.0

    # life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Raises InputError where the interpreter cannot be used."""
        if self._process is not None:
            return
        # Open for as long as the interpreter runs: `_close_files`.
        self._file, self._crashes, self._errors = _scratch(), _scratch(), _scratch()
        theirs_in, self._requests = os.pipe()
        self._replies, theirs_out = os.pipe()
        numbers = [theirs_in, theirs_out, self._file.fileno(), self._crashes.fileno()]
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("IMPORTTRACE")
        }
        try:
            self._process = subprocess.Popen(
                [
                    self.python,
                    "-c",
                    _BOOT,
                    _ROOT,
                    *map(str, numbers),
                    str(int(self._once)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=numbers,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours; a child's signals are its own
            )
        except OSError as error:
            self._close_files()
            raise InputError(
                f"cannot run {self.python!r}: {error.strerror or error}; name a Python interpreter"
            ) from error
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        _no_core_files(self._process.pid)
        self._buffer = b""
        ready = self._wait_ready()
        if ready is None:
            said = self._last_error()
            self.close()
            raise InputError(f"cannot use {self.python!r}: {said}")
        self.version = ready[1]

    def _wait_ready(self) -> tuple[str, str] | None:
        deadline = time.monotonic() + _START_S
        while True:
            record: tuple[str, str] | None = self._record()
            if record is not None:
                return record
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._replies], [], [], left)[0]:
                return None
            if not self._more():
                return None

    def _last_error(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return text.splitlines()[-1] if text else "it did not start"

    def close(self) -> None:
        """Ends the interpreter and the child at work; safe to say twice."""
        process, self._process = self._process, None
        if process is None:
            return
        self._kill_child()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._close_files()

    def _close_files(self) -> None:
        os.close(self._requests)
        os.close(self._replies)
        for file in (self._file, self._crashes, self._errors):
            file.close()

    # one job -------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Readable when `poll` has something to do."""
        return self._replies

    def submit(self, job: dict[str, Any]) -> None:
        self.start()
        self._file.truncate(0)
        self._child = 0
        self._killed = self._slow = False
        self._warned = 0.0
        self._began = time.monotonic()
        # With threads the child itself notices that its time is over, and says what it was at.
        self._limit_s = job["limit"] * (MOST_LIMITS if job["threads"] else 1)
        self._limit_s += GRACE_S if job["threads"] else 0.0
        self._deadline = self._began + self._limit_s
        data = marshal.dumps(job, 4)  # a format that every supported release reads
        data = len(data).to_bytes(4, "little") + data
        while data:
            data = data[os.write(self._requests, data) :]

    def left_s(self) -> float:
        """Until something must be done even if nothing is heard."""
        return max(0.0, (self._warned or self._deadline) - time.monotonic())

    def poll(self, readable: bool) -> Ended | None:
        """Reads what has come, kills what is late; the end of the job if it has ended."""
        alive = self._more() if readable else True
        while (record := self._record()) is not None:
            if record[0] == "began":
                self._child = record[1]
            else:
                return self._end(record[1])
        if not alive:
            process = self._process
            status = process.wait() if process is not None else 0
            ended = self._end(status << 8 if status >= 0 else -status)
            self._child = 0
            self.close()
            return ended
        now = time.monotonic()
        if self._warned and now >= self._warned:
            self._kill_child()
            self._warned = now + 1.0
        elif not self._warned and now >= self._deadline:
            got_on = now - self._quiet_s()
            held_back_s = self._held_back_s()
            self._deadline, self._slow = later(self._began, now, self._limit_s, got_on, held_back_s)
            if self._deadline > now:
                return None
            self._killed = True
            self._warned = now + _LAST_WORDS_S
            self._signal(signal.SIGUSR1)
        return None

    def _end(self, status: int) -> Ended:
        self._child = 0
        file = self._file.fileno()
        data = os.pread(file, min(os.fstat(file).st_size, _MOST_RESULT), 0)
        written = mark = None
        if data.endswith(END):
            written = marshal.loads(data[: -len(END)])
        elif data.startswith(b"at "):
            mark = data.partition(b"\n")[0][3:].decode(errors="replace")
        crash = os.pread(self._crashes.fileno(), 20_000, 0).decode(errors="replace")
        seconds = time.monotonic() - self._began
        return Ended(status, self._killed, written, mark, crash, seconds, self._slow)

    def _quiet_s(self) -> float:
        """Since a body began, or since the job did."""
        status = os.fstat(self._file.fileno())
        spent = time.monotonic() - self._began
        return min(spent, max(0.0, time.time() - status.st_mtime)) if status.st_size else spent

    def _held_back_s(self) -> float:
        """How long the child was ready to run and had no processor; of its live threads. 0.0: not known."""
        total = 0
        for file in Path("/proc", str(self._child), "task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                total += int(file.read_text().split()[1])
        return total / 1e9

    def _signal(self, number: int) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._child, number)

    def _kill_child(self) -> None:
        if self._child:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self._child, signal.SIGKILL)

    # records -------------------------------------------------------------------------------

    def _more(self) -> bool:
        data = os.read(self._replies, 65536)
        self._buffer += data
        return bool(data)

    def _record(self) -> Any:
        if len(self._buffer) < 4:
            return None
        size = int.from_bytes(self._buffer[:4], "little")
        if len(self._buffer) < 4 + size:
            return None
        data, self._buffer = self._buffer[4 : 4 + size], self._buffer[4 + size :]
        return marshal.loads(data)


def _scratch() -> IO[bytes]:
    """A file without a name; in memory where that can be, for there may be no folder to write to."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return open(os.memfd_create("importtrace"), "w+b")
    return tempfile.TemporaryFile()


def _no_core_files(pid: int) -> None:
    """A target that kills its interpreter again and again must not fill the disk."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
