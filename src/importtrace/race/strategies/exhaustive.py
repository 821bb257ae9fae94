"""Every schedule of some entries with up to so many switches, but for those that cannot differ.

Dynamic partial-order reduction (Flanagan and Godefroid, POPL 2005) under a bound on switches (Coons,
Musuvathi and McKinley, OOPSLA 2013). What was run is cut into segments, from one point to the next; two
segments of two threads *conflict* if one writes what the other reads: a module's lock, its namespace, its
place in sys.modules. Only the order of conflicting segments can matter, so only for those is the other
order tried; a state that was reached by another order of segments that do not conflict is not entered
again.

What a body asks for is what its source imports (`reads`), and functions of what it imports; a module that
cannot be read counts as asking for everything. The modules of the standard library count only where they
are the target. Bodies that act on each other through anything but modules (a file, a lock of the program's)
are beyond this: `--strategy random` draws without it.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from importtrace.race.runner import Job
from importtrace.race.schedule import Schedule, Switch
from importtrace.race.steps import Step, default, preempts

if TYPE_CHECKING:
    from importtrace.race.outcome import Result
    from importtrace.race.scenario import Scenario


MOST_SEGMENTS = 5_000
MOST_WAITING = 20_000

_WAITS, _OUTSIDE = ("waits", ""), ("outside", "")
Reads = Callable[[str], frozenset[str]]


class Segment:
    """What one thread did between two points."""

    __slots__ = ("clock", "decision", "hash", "reads", "thread", "writes")

    def __init__(self, decision: int, thread: int) -> None:
        self.decision = decision
        self.thread = thread
        self.reads: set[tuple[str, Any]] = set()
        self.writes: set[tuple[str, Any]] = set()
        self.clock: dict[int, int] = {}
        self.hash = 0


class Exhaustive:
    name = "exhaustive"

    def __init__(
        self,
        scenario: Scenario,
        bound: int,
        reads: Reads,
        most_switches: int | None = None,
        most: int = 10_000,
    ) -> None:
        """`most_switches`: up to where `widen` may go; what needs more is not remembered."""
        # Of the standard library's modules only those count that are to be tried themselves.
        self._known = sys.stdlib_module_names - {*scenario.tops, *scenario.watched}
        self._scenario = scenario
        self._bound = bound
        self._most_switches = bound if most_switches is None else most_switches
        self._reads = reads
        self._left = most
        self._queue: list[tuple[int, int, tuple[Switch, ...]]] = [(0, 0, ())]
        self._serial = 0
        self._visited: dict[Any, int] = {}  # what was begun -> the fewest switches that led there
        self._asked: set[tuple[Switch, ...]] = {()}
        self.pruned = 0
        self._partial = False  # a run said too little to know what else there is
        self.out = 0

    @property
    def complete(self) -> bool:
        """Everything within the bound was run."""
        return not (self._partial or self.out or self._within())

    def _within(self) -> bool:
        return bool(self._queue) and self._queue[0][0] <= self._bound

    def widen(self, bound: int) -> None:
        """More switches from here on; what was run stays run."""
        self._bound = bound

    def next(self) -> Job | None:
        if not self._within():
            return None
        if not self._left:
            self._partial = True
            return None
        self._left -= 1
        self.out += 1
        _, _, found = heapq.heappop(self._queue)
        schedule = Schedule(self._scenario.entries, found, self._scenario.lines)
        return Job(self._scenario, schedule, steps=True)

    def told(self, job: Job, result: Result) -> None:
        self.out -= 1
        if not result.steps or not result.followed:
            self._partial = True
            return
        segments = self._segments(result.steps)
        if len(segments) > MOST_SEGMENTS:
            self._partial = True
            del segments[MOST_SEGMENTS:]
        run = _Run([step for step in result.steps if step[4]], self._order(segments))
        for earlier, later in self._races(segments):
            decision = segments[earlier].decision
            self._alternative(run, decision, segments[later].thread)
            self._alternative(run, run.block(decision), segments[later].thread)

    # segments ------------------------------------------------------------------------------

    def _segments(self, steps: tuple[Step, ...]) -> list[Segment]:
        pending: dict[int, tuple[str, str, str]] = {}
        given: dict[int, set[str]] = {}  # thread -> modules it was handed half-built
        found: list[Segment] = []
        current: Segment | None = None
        decision = -1
        for thread, kind, module, _, chosen, _, top in steps:
            mine = current if current is not None and current.thread == thread else None
            if not chosen:
                if mine is not None and kind == "refused":
                    mine.writes.add(_WAITS)
                    given.setdefault(thread, set()).add(module)
                continue
            decision += 1
            if thread:
                pending[thread] = (kind, module, top)
                if mine is not None:
                    self._arrive(mine, kind, module)
            if current is not None:
                self._leave_out(current)
            current = Segment(decision, chosen)
            self._begin(current, *pending.get(chosen, ("start", "", "")))
            current.reads.update(("data", one) for one in given.get(chosen, ()))
            found.append(current)
        if current is not None:
            self._leave_out(current)
        return found

    def _leave_out(self, segment: Segment) -> None:
        for resources in (segment.reads, segment.writes):
            resources -= {one for one in resources if one[1].partition(".")[0] in self._known}

    def _begin(self, segment: Segment, kind: str, module: str, top: str) -> None:
        """What a thread does first when it goes on from this point, `top` being what it builds."""
        if kind == "start":
            if segment.thread <= len(self._scenario.entries):
                self._looks_for(segment, self._scenario.entries[segment.thread - 1].module)
            return
        if kind in ("acquire", "wait"):
            segment.writes.add(("lock", module))
            self._looks_for(segment, module)
        elif kind == "body":
            top = module
        elif kind == "line":
            top = module.partition("@")[0]
        elif kind == "release":
            segment.reads.add(("data", module))
        elif kind == "outside":
            segment.writes.add(_OUTSIDE)
        if top:
            self._runs(segment, top)

    def _arrive(self, segment: Segment, kind: str, module: str) -> None:
        """The segment ended by coming to this point: what it did last."""
        if kind == "wait":
            # Who waits is what CPython's detector reads when another one wants to.
            segment.writes.add(_WAITS)
        elif kind == "acquire":
            self._looks_for(segment, module)
        elif kind == "release":
            # Bound on its package, or taken out of sys.modules; then the lock was given back.
            segment.writes.update((("data", module), ("lock", module)))
            self._looks_for(segment, module)
        elif kind == "outside":
            segment.writes.add(_OUTSIDE)

    def _looks_for(self, segment: Segment, module: str) -> None:
        """In sys.modules: it and its packages."""
        segment.reads.add(("lock", module))
        segment.reads.update(("lock", parent) for parent in _parents(module))

    def _runs(self, segment: Segment, module: str) -> None:
        """A part of its body: it binds names, reads those of its packages, and may ask for all that
        its source imports. Of a finished module nothing is seen of that."""
        segment.writes.add(("data", module))
        segment.reads.update(("data", parent) for parent in _parents(module))
        segment.reads.update(("lock", other) for other in self._reads(module))

    # order ---------------------------------------------------------------------------------

    def _order(self, segments: list[Segment]) -> list[int]:
        """Vector clocks and hashes; returns, per decision, the hash of all that was done before it."""
        last_of: dict[int, Segment] = {}
        last_write: dict[Any, Segment] = {}
        last_reads: dict[Any, dict[int, Segment]] = {}
        states: list[int] = []
        total = 0
        for number, segment in enumerate(segments):
            states.append(total)
            before: list[Segment] = []
            if segment.thread in last_of:
                before.append(last_of[segment.thread])
            for resource in segment.reads | segment.writes:
                if resource in last_write:
                    before.append(last_write[resource])
            for resource in segment.writes:
                before += last_reads.get(resource, {}).values()
            clock: dict[int, int] = {}
            for one in before:
                for thread, count in one.clock.items():
                    if clock.get(thread, -1) < count:
                        clock[thread] = count
            clock[segment.thread] = number
            segment.clock = clock
            segment.hash = hash(
                (
                    segment.thread,
                    frozenset(segment.writes),
                    frozenset(one.hash for one in before),
                    last_of[segment.thread].hash if segment.thread in last_of else 0,
                )
            )
            total = (total + segment.hash) & (1 << 64) - 1
            last_of[segment.thread] = segment
            for resource in segment.writes:
                last_write[resource] = segment
                last_reads.pop(resource, None)
            for resource in segment.reads:
                last_reads.setdefault(resource, {})[segment.thread] = segment
        return states

    def _races(self, segments: list[Segment]) -> Iterator[tuple[int, int]]:
        """(earlier, later): for each segment and each other thread, that thread's latest segment that
        conflicts with it and that nothing else puts before it."""
        wrote: dict[Any, dict[int, int]] = {}
        touched: dict[Any, dict[int, int]] = {}
        clocks: dict[int, dict[int, int]] = {}
        for number, segment in enumerate(segments):
            latest: dict[int, int] = {}
            for seen, resources in ((wrote, segment.reads), (touched, segment.writes)):
                for resource in resources:
                    for thread, at in seen.get(resource, {}).items():
                        if thread != segment.thread and latest.get(thread, -1) < at:
                            latest[thread] = at
            before = clocks.get(segment.thread, {})
            for thread, at in latest.items():
                if at > before.get(thread, -1):
                    yield at, number
            clocks[segment.thread] = segment.clock
            for resource in segment.writes:
                wrote.setdefault(resource, {})[segment.thread] = number
                touched.setdefault(resource, {})[segment.thread] = number
            for resource in segment.reads:
                touched.setdefault(resource, {})[segment.thread] = number

    def _alternative(self, run: _Run, at: int, wanted: int) -> None:
        step = run.steps[at]
        runnable = [thread for thread in range(1, step[5].bit_length()) if step[5] >> thread & 1]
        options = [wanted] if wanted in runnable else [one for one in runnable if one != step[4]]
        for thread in options:
            if thread == step[4]:
                continue
            key = (run.states[at], step[0], thread)
            cost = run.costs[at] + preempts(step, thread)
            if self._visited.get(key, cost + 1) <= cost:
                self.pruned += 1
                continue
            # Reached with fewer switches it leaves more for what follows: no repeat.
            self._visited[key] = cost
            if cost > self._most_switches:
                continue
            if len(self._queue) > MOST_WAITING:
                self._partial = True
                continue
            switches = run.before(at)
            if thread != default(step):
                switches += (Switch(step[0], step[1], step[2], step[3], thread),)
            if switches in self._asked:
                self.pruned += 1
                continue
            self._asked.add(switches)
            self._serial += 1
            heapq.heappush(self._queue, (cost, self._serial, switches))


class _Run:
    """The decisions of a run; before each, how many preemptions there were and what had been done."""

    def __init__(self, steps: list[Step], states: list[int]) -> None:
        self.steps = steps
        self.states = states
        self.costs: list[int] = []
        self._switches: list[tuple[int, Switch]] = []
        cost = 0
        for number, step in enumerate(steps):
            self.costs.append(cost)
            cost += preempts(step, step[4])
            if step[4] != default(step):
                self._switches.append((number, Switch(*step[:5])))

    def before(self, at: int) -> tuple[Switch, ...]:
        return tuple(switch for number, switch in self._switches if number < at)

    def block(self, at: int) -> int:
        """The decision at which the thread that goes on here was put on."""
        thread = self.steps[at][4]
        while at and self.steps[at][0] == thread and self.steps[at - 1][4] == thread:
            at -= 1
        return at


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
