"""What a race command says when it cannot begin. Exit code 2."""

from __future__ import annotations

from importtrace.errors import ImportTraceError


class InputError(ImportTraceError):
    """The target, an entry, a schedule or an interpreter that was named is none."""

    slug = "race-input"


class ScheduleError(InputError):
    """A text that should be a schedule is none."""

    slug = "bad-schedule"


class TimeOver(Exception):
    """A limit for all of a search has come, perhaps in the middle of a run. Never shown as an error."""
