"""In the child: forces the order of events that a trace holds. No standard library here.

An event is (thread, kind, module, hard, bound, text), and they are in the order in which they happened:

    begin   the thread takes the module's lock, or asks for it        end    has given it back
    body    the module's body starts                                  wake   has waited for the lock, has it
    come    is about to ask for it, so that it has seen that the module is not in sys.modules yet

A thread that stands at the point of an event of its own is held there until that event is the next of all.
At points that the trace does not hold (a module that had been finished before tracing began, a package that
its own modules ask for) it goes on as part of what leads to its next event, so it never runs further than
its events need. `hard`: the module is in several threads' events, so that losing it is a divergence; what
only one thread has done may differ from machine to machine. `bound`: the names that a half-built module had
when it was handed out; its builder goes on until they are there.
"""

import sys

from importtrace.race import _steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {"acquire": "begin", "body": "body", "release": "end", "wait": "wake"}
_MOST_SAID = 5
SEPARATOR = "; then "  # between the places where the order was left, the first of them first


class Recorded:
    """A plan (see `_plans`). Threads of `entries` have their own numbers; events of others are of threads
    that bodies start, which are known by the first module they ask for."""

    def __init__(self, events: "list[tuple[Any, ...]]", entries: int) -> None:
        self._events = events
        self._done = [False] * len(events)
        self._cursor = 0
        self._own: dict[int, list[int]] = {}
        for number, event in enumerate(events):
            self._own.setdefault(event[0], []).append(number)
        self._logical = {index: index for index in range(1, entries + 1)}
        self._index = dict(self._logical)
        self._at: dict[int, tuple[str, str, int | None]] = {}
        self._said: list[str] = []

    @property
    def diverged(self) -> "str | None":
        left = len(self._events) - sum(self._done)
        if not self._said and left and self._hard_left():
            return f"at its end: {left} of {len(self._events)} events were not reached"
        return SEPARATOR.join(self._said) or None

    def __call__(
        self, control: "Any", current: int, kind: str, module: str, nth: int, runnable: list[int]
    ) -> int:
        if current:
            self._arrives(control, current, kind, module)
        return self._next(control, runnable, kind == "stuck")

    # where threads stand -------------------------------------------------------------------

    def _arrives(self, control: "Any", index: int, kind: str, module: str) -> None:
        self._at.pop(index, None)
        said = _KINDS.get(kind)
        if said is None:
            return
        logical = self._logical.get(index)
        if logical is None:
            logical = self._bind(index, said, module)
        number = None
        if logical is not None:
            number = self._match(logical, said, module, control.threads[index - 1].open)
        if said in ("body", "end"):
            # It stands where this has happened. What follows, up to whether the next module that it asks
            # for is in sys.modules, is of the moment of its next event.
            if number is not None:
                self._done[number] = True
            return
        self._at[index] = said, module, number

    def _bind(self, index: int, said: str, module: str) -> "int | None":
        for logical, numbers in self._own.items():
            first = self._events[numbers[0]]
            if logical not in self._index and first[1] == said and first[2] == module:
                self._index[logical] = index
                self._logical[index] = logical
                return logical
        return None

    def _match(self, logical: int, said: str, module: str, held: list[str]) -> "int | None":
        """The event of this thread that this point is; those of its own before it will not come."""
        passed: list[int] = []
        for number in self._own.get(logical, ()):
            if self._done[number]:
                continue
            event = self._events[number]
            if event[1] == said and event[2] == module:
                break
            if event[1] == "come" and said == "begin" and event[2] == module:
                self._done[number] = True
                continue
            if said == "begin" and module in held and not passed:
                return None  # its own module: an everyday request, which is not recorded
            if said != "begin" and event[1] == "begin" and event[2] == module:
                return None
            passed.append(number)
        else:
            return None
        for one in passed:
            self._give_up(one, f"the thread came to {_told(said, module)} without it")
        return number

    def _give_up(self, number: int, why: str) -> None:
        self._done[number] = True
        if self._events[number][3]:
            self._say(number, why)

    def _say(self, number: int, why: str) -> None:
        if len(self._said) < _MOST_SAID:
            text = self._events[number][5]
            self._said.append(f"at event {number + 1} of {len(self._events)}, {text}: {why}")

    def _hard_left(self) -> bool:
        return any(
            event[3] and not done for event, done in zip(self._events, self._done, strict=True)
        )

    # who goes on ---------------------------------------------------------------------------

    def _next(self, control: "Any", runnable: list[int], stuck: bool) -> int:
        events, done = self._events, self._done
        while self._cursor < len(events) and done[self._cursor]:
            self._cursor += 1
        blocked: int | None = None
        for number in range(self._cursor, len(events)):
            if done[number]:
                continue
            logical, _, module, hard, bound, _ = events[number]
            index = self._index.get(logical)
            if index is None:
                if blocked is None and not stuck and self._one_is_coming(control):
                    return -1
                blocked = number if blocked is None else blocked
                continue
            thread = control.threads[index - 1]
            if index in runnable:
                at = self._at.get(index)
                if at is None or at[2] is None:
                    return index  # on to its next point
                if at[2] != number:
                    continue
                if bound:
                    builder = self._builder(control, index, module, bound, runnable)
                    if builder:
                        return builder
                if blocked is not None and hard:
                    self._out_of_turn(control, blocked)
                done[number] = True
                del self._at[index]
                return index
            if thread.state == "done":
                self._give_up(number, "the thread has ended without it")
            elif thread.state == "outside" and blocked is None and not stuck:
                return -1
            elif blocked is None:
                blocked = number
        return 0

    def _one_is_coming(self, control: "Any") -> bool:
        return any(
            thread.spawned and thread.state == "outside" and thread.index not in self._logical
            for thread in control.threads
        )

    def _builder(
        self, control: "Any", index: int, module: str, bound: list[str], runnable: list[int]
    ) -> int:
        """Who is to bind more names in `module` before it is handed to `index`; 0: nobody."""
        there = getattr(sys.modules.get(module), "__dict__", None)
        if there is None or all(name in there for name in bound):
            return 0
        for thread in control.threads:
            at = self._at.get(thread.index)
            if (
                thread.index != index
                and module in thread.open
                and thread.index in runnable
                and (at is None or at[2] is None)
            ):
                found: int = thread.index
                return found
        return 0

    def _out_of_turn(self, control: "Any", number: int) -> None:
        """Another event comes before this one, whose thread cannot go on."""
        logical, kind, module, hard, _, _ = self._events[number]
        index = self._index.get(logical)
        if index is None:
            if hard:
                self._say(number, "the thread has not started")
            self._soften(number)
            return
        thread = control.threads[index - 1]
        lock = thread.waiting
        if lock is not None and kind == "wake" and lock.name == module:
            return  # noted a moment before the lock was given back
        if hard:
            why = "the thread is blocked in something that is no import"
            if lock is not None:
                why = f"the thread has to wait for {lock.name} here"
            self._say(number, why)
        self._soften(number)

    def _soften(self, number: int) -> None:
        """It has been said; once is enough."""
        event = self._events[number]
        self._events[number] = (*event[:3], False, *event[4:])


def _told(said: str, module: str) -> str:
    return {
        "begin": f"ask for {module}",
        "body": f"the body of {module}",
        "end": f"the end of {module}",
        "wake": f"a wait for {module}",
    }[said]


def make(events: "list[tuple[Any, ...]]", entries: int) -> Recorded:
    """For the plan ("call", "importtrace.race.replay_plan:make", (events, entries))."""
    return Recorded(list(events), entries)


def import_first(entries: "list[tuple[str, str | None]]") -> None:
    """A set-up step: what was over before the threads met, in its order. What fails had failed, too."""
    for module, name in entries:
        try:
            _steps.import_entry(module, name)
        except (Exception, SystemExit):
            pass
