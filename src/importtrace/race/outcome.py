"""What came of one run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importtrace.race.schedule import Schedule


OK, IMPORT_ERROR, ERROR, DEADLOCK, TIMEOUT, EXIT = (
    "ok", "import_error", "error", "deadlock", "timeout", "exit",
)  # fmt: skip


_ADDRESS = re.compile(r" at (0x[0-9a-fA-F]+|\d{6,})\b")


def without_addresses(message: str | None) -> str | None:
    """The same in every process: a lock's or an object's address is not."""
    return message and _ADDRESS.sub("", message)


@dataclass(frozen=True, slots=True)
class ThreadOutcome:
    """One entry, or one thread that a body started.

    outcome   of `Result`; "stopped" where the run ended before this thread did
    type      of the exception ("ImportError"), None without one
    frames    its traceback, or its stack if it did not end: (file, line, module), outermost first,
              importlib's left out
    order     position among the threads that failed, from 1: who failed first; 0: did not
    doing     where it stood if it did not end: text, or None
    """

    thread: int
    entry: str
    outcome: str
    type: str | None = None
    message: str | None = None
    frames: tuple[tuple[str, int, str], ...] = ()
    order: int = 0
    doing: str | None = None

    @property
    def error(self) -> str | None:
        if self.type is None:
            return None
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class Result:
    """Of one run in one process.

    outcome    ok | import_error | error | deadlock | timeout | exit: of the thread that failed first.
               `deadlock` also where CPython saw it and raised `_DeadlockError`
    message    one line on the outcome; None for ok
    threads    in the order of the entries
    schedule   what was done, told by the fewest switches that tell it (not: the schedule asked for)
    followed   False: the schedule asked for could not be followed; `diverged` says where
    cause      of the failure, where the run was asked to explain: `Cause.to_dict()`
    steps      what was done, step by step (see `race.steps`); empty where not asked for
    loaded     modules whose load was finished without error, in their order
    seconds    wall time of the child
    python     the version that ran it
    files      of the loaded modules, those of the standard library left out; where steps were asked for
    slow       a `timeout`, but it was getting on, body after body: nothing to blame the imports for
    statements of each that ended: (thread, its number in the thread from 0, outcome, type, message)
    """

    outcome: str
    message: str | None = None
    threads: tuple[ThreadOutcome, ...] = ()
    schedule: Schedule | None = None
    followed: bool = True
    diverged: str | None = None
    cause: dict[str, Any] | None = None
    steps: tuple[tuple[Any, ...], ...] = ()
    loaded: tuple[str, ...] = ()
    seconds: float = 0.0
    python: str = ""
    files: tuple[tuple[str, str], ...] = ()
    statements: tuple[tuple[int, int, str, str | None, str | None], ...] = ()
    slow: bool = False

    @property
    def ok(self) -> bool:
        return self.outcome == OK

    @property
    def first(self) -> ThreadOutcome | None:
        """The thread that failed first; None where none did."""
        failed = [thread for thread in self.threads if thread.order]
        return min(failed, key=lambda thread: thread.order) if failed else None

    @property
    def signature(self) -> tuple[Any, ...]:
        """Equal for two runs that failed in the same way, whatever the order of their steps."""
        first = self.first
        if first is None:
            return (self.outcome, self.message if self.outcome == EXIT else None)
        where = first.frames[-1] if first.frames else None
        return (self.outcome, first.type, without_addresses(first.message), where)
