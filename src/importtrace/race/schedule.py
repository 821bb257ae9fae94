"""Which thread goes on where, as data and as one line of text that can be pasted into a shell.

    v1:exceptions,exceptions.exceptions_agent:1@acquire/exceptions.exceptions_agent=2

Thread 1 runs ``import exceptions`` until it is about to take the lock of ``exceptions.exceptions_agent``;
then thread 2 goes on. What is not said is decided by rule: a thread goes on until it can not (it waits,
or has ended); then the one with the lowest number that can. A place is named by what happens there and
how many times this thread has come there, so a schedule outlives other releases of Python and changes
of the code that do not touch it.

    v1[+lines]:ENTRY[,ENTRY...][:SWITCH[:SWITCH...]]
    SWITCH = THREAD@KIND/MODULE[/NTH]=THREAD
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from importtrace.race.errors import ScheduleError
from importtrace.race.scenario import Entry

# acquire   about to take the module's lock          release   has given it back
# body      its body is about to start                line      (with lines) about to run line NTH/...
# wait      cannot go on: the lock is another's       wake      the lock that it waited for is free
# outside   cannot go on: blocked in something that is no module lock
# start     has not begun                             end       has ended
KINDS = ("start", "acquire", "release", "body", "line", "wait", "wake", "outside", "end")
_VERSION = "v1"
_SWITCH = re.compile(r"(\d+)@([a-z]+)(?:/([^/=]*))?(?:/(\d+))?=(\d+)")


@dataclass(frozen=True, slots=True)
class Switch:
    """When ``thread`` is for the ``nth`` time about to do ``kind`` with ``module``, thread ``to`` goes on.

    Threads count from 1, in the order of the entries; then those that bodies start, as they start.
    For ``line`` the module is ``module@LINE``. ``nth`` counts from 1.
    """

    thread: int
    kind: str
    module: str
    nth: int
    to: int

    def __str__(self) -> str:
        where = f"{self.thread}@{self.kind}"
        if self.module or self.nth != 1:
            where += f"/{quote(self.module, safe='.@_')}"
        if self.nth != 1:
            where += f"/{self.nth}"
        return f"{where}={self.to}"

    @classmethod
    def parse(cls, text: str) -> Switch:
        found = _SWITCH.fullmatch(text)
        if found is None or found[2] not in KINDS:
            raise ScheduleError(f"{text!r} is no switch; one looks like 1@acquire/pkg.mod=2")
        return cls(
            int(found[1]), found[2], unquote(found[3] or ""), int(found[4] or 1), int(found[5])
        )

    def told(self) -> str:
        """For people: where the thread stops."""
        thread, nth = f"thread {self.thread}", f" (time {self.nth})" if self.nth > 1 else ""
        module, _, line = self.module.partition("@")
        return {
            "start": f"{thread} has not begun",
            "acquire": f"{thread} is about to import {module}{nth}",
            "release": f"{thread} has finished with {module}{nth}",
            "body": f"{thread} is about to run the body of {module}{nth}",
            "line": f"{thread} is about to run line {line} of {module}{nth}",
            "wait": f"{thread} waits for {module}{nth}",
            "wake": f"{thread} need no longer wait for {module}{nth}",
            "outside": f"{thread} is blocked, in the body of {module}{nth}",
            "end": f"{thread} has ended",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Immutable. Without switches: each entry to its end, in their order."""

    entries: tuple[Entry, ...]
    switches: tuple[Switch, ...] = ()
    lines: bool = False

    def __str__(self) -> str:
        head = _VERSION + ("+lines" if self.lines else "")
        entries = ",".join(quote(entry.module, safe=".") + _named(entry) for entry in self.entries)
        return ":".join([head, entries, *map(str, self.switches)])

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Raises ScheduleError; also takes the lines of a schedule file (``#`` begins a comment)."""
        lines = [line.strip() for line in text.splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if len(found) != 1:
            raise ScheduleError(
                f"a schedule is one line, this has {len(found)}; "
                "take the line that 'importtrace reproduce' printed"
            )
        head, _, rest = found[0].partition(":")
        version, _, option = head.partition("+")
        if version != _VERSION or option not in ("", "lines"):
            raise ScheduleError(
                f"{found[0][:60]!r} is no schedule of this version; one begins with "
                f"'{_VERSION}:ENTRY,ENTRY:'"
            )
        entries, _, switches = rest.partition(":")
        return cls(
            tuple(_entry(part) for part in entries.split(",")),
            tuple(Switch.parse(part) for part in switches.split(":") if switches),
            option == "lines",
        )


def _named(entry: Entry) -> str:
    return "" if entry.name is None else "+" + quote(entry.name, safe="")


def _entry(text: str) -> Entry:
    module, _, name = text.partition("+")
    return Entry.parse(unquote(module) + (":" + unquote(name) if name else ""))
