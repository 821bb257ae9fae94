"""In the child: who goes on. Each plan is called with the mutex of `Control` held, as

    plan(control, current, kind, module, nth, runnable) -> index of a thread in `runnable`

`current` is the number of the thread that stands at the point (0 at the start); it is in `runnable` unless
it cannot go on. An answer that is not in `runnable` means the rule: `current` if it can, else the lowest.
`diverged` says, after the run, where the plan could not be followed; None if it was.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Follow:
    """The switches of a `Schedule`, in their order."""

    def __init__(self, switches: "list[tuple[int, str, str, int, int]]") -> None:
        self._switches = switches
        self._at = 0
        self._diverged: str | None = None

    def __call__(
        self, control: "Any", current: int, kind: str, module: str, nth: int, runnable: list[int]
    ) -> int:
        if self._at < len(self._switches):
            thread, at_kind, at_module, at_nth, to = self._switches[self._at]
            if thread == current and at_kind == kind and at_module == module and at_nth == nth:
                self._at += 1
                if to in runnable:
                    return to
                if self._diverged is None:
                    self._diverged = f"at switch {self._at}, thread {to} cannot go on"
        return 0

    @property
    def diverged(self) -> str | None:
        if self._diverged is None and self._at < len(self._switches):
            thread, kind, module, nth, _ = self._switches[self._at]
            time = f" for the time {nth}" if nth > 1 else ""
            what = f"{kind} {module}".strip()
            return f"at switch {self._at + 1}, thread {thread} never came to {what!r}{time}"
        return self._diverged


class Priorities:
    """The runnable thread with the highest priority; after so many points, the one at it falls.

    PCT: Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs",
    ASPLOS 2010. `priorities[n]` is that of thread n + 1; `falls` are (point number, new priority).
    """

    diverged = None

    def __init__(self, priorities: list[int], falls: list[tuple[int, int]]) -> None:
        self._priorities = {n + 1: value for n, value in enumerate(priorities)}
        self._falls = dict(falls)
        self._points = 0

    def __call__(
        self, control: "Any", current: int, kind: str, module: str, nth: int, runnable: list[int]
    ) -> int:
        self._points += 1
        lower = self._falls.get(self._points)
        if lower is not None and current:
            self._priorities[current] = lower
        best, chosen = None, 0
        for index in runnable:
            value = self._priorities.get(index, 0)
            if best is None or value > best:
                best, chosen = value, index
        return chosen


def make(plan: "tuple[Any, ...]") -> "Any":
    """("switches", [...]) | ("priorities", [...], [...]) | ("call", "module:function", arguments):
    the last is imported here, in the child, and must be as free of the standard library as this file."""
    if plan[0] == "switches":
        return Follow(plan[1])
    if plan[0] == "priorities":
        return Priorities(plan[1], plan[2])
    module, _, function = plan[1].partition(":")
    return getattr(__import__(module, fromlist=[function]), function)(*plan[2])
