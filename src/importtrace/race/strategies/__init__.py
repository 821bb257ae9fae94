"""Which schedule to try next. One file a strategy, one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from importtrace.race.outcome import Result
    from importtrace.race.runner import Job


class Strategy(Protocol):
    """Asked for jobs until it has none, told of each result; several jobs may be out at once.

    `name` is for people. `pruned` counts schedules that it did not run because they cannot differ from one
    that it ran.
    """

    name: str
    pruned: int

    def next(self) -> Job | None:
        """None: nothing now. The search ends when nothing is out and it still says None."""
        ...

    def told(self, job: Job, result: Result) -> None: ...
