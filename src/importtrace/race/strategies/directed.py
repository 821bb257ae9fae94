"""Schedules that aim at a ring of locks: what each module does when it is imported first shows who, holding
what, wants what; a ring of such wants is walked into from all sides at once.

For a ring of two, thread 1 holds X and is stopped where it is about to want Y; thread 2 takes Y and comes to
want X. Then thread 1 goes on. It is stopped once where it is about to take the lock and once a point
earlier, before the interpreter has looked into sys.modules: that decides what a thread is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from importtrace.race.runner import Job
from importtrace.race.schedule import Schedule, Switch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from importtrace.race.outcome import Result
    from importtrace.race.scenario import Entry, Scenario
    from importtrace.race.steps import Want


MOST_PER_WANT = 4  # entries remembered that want the same while they hold the same


@dataclass(frozen=True, slots=True)
class Seen:
    """`entry` was seen to have this want; `cost`: how many points it had come by then."""

    entry: Entry
    want: Want
    cost: int


class Wants:
    """Who, holding what, wants what; of all entries seen."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], list[Seen]] = {}
        self._wanted_by: dict[str, set[str]] = {}

    def add(self, entry: Entry, wants: Iterable[Want]) -> None:
        for cost, want in enumerate(wants):
            key = want.held, want.wanted
            known = self._of.setdefault(key, [])
            if any(seen.entry == entry for seen in known):
                continue
            known.append(Seen(entry, want, cost))
            # What the program says comes first; then what is reached soonest.
            known.sort(key=lambda seen: (seen.want.implied, seen.cost))
            del known[MOST_PER_WANT:]
            self._wanted_by.setdefault(want.held, set()).add(want.wanted)

    def rings(
        self, length: int, only: frozenset[Entry] = frozenset()
    ) -> Iterator[tuple[Seen, ...]]:
        """Rings of so many wants, each of another entry where there is a choice; those in which no
        want is implied first."""
        for late in (False, True):
            for start in sorted(self._wanted_by):
                for ring in self._walk((start,), length):
                    seen = self._pick(ring, only)
                    if seen is not None and any(one.want.implied for one in seen) == late:
                        yield seen

    def _walk(self, path: tuple[str, ...], length: int) -> Iterator[tuple[str, ...]]:
        for wanted in sorted(self._wanted_by.get(path[-1], ())):
            if len(path) == length:
                if wanted == path[0]:
                    yield path
            elif wanted > path[0] and wanted not in path:
                yield from self._walk((*path, wanted), length)

    def _pick(self, ring: tuple[str, ...], only: frozenset[Entry]) -> tuple[Seen, ...] | None:
        found: list[Seen] = []
        for number, held in enumerate(ring):
            known = self._of[held, ring[(number + 1) % len(ring)]]
            if only:
                known = [one for one in known if one.entry in only]
                if not known:
                    return None
            taken = {seen.entry for seen in found}
            found.append(next((one for one in known if one.entry not in taken), known[0]))
        return tuple(found) if len({seen.entry for seen in found}) > 1 else None


def schedules(ring: tuple[Seen, ...], *, lines: bool = False) -> Iterator[Schedule]:
    """Ways into a ring: each thread in turn is the one that comes last and finds it closed."""
    for turn in range(len(ring)):
        turned = ring[turn:] + ring[:turn]
        entries = tuple(seen.entry for seen in turned)
        last = len(turned)
        for early in (True, False):
            stops = []
            for number, seen in enumerate(turned[:-1], start=1):
                kind, module, nth = (early and seen.want.before) or seen.want.at
                stops.append(Switch(number, kind, module, nth, number + 1))
            yield Schedule(entries, tuple(stops), lines)
            want = turned[-1].want
            yield Schedule(entries, (*stops, Switch(last, *want.at, 1)), lines)


class Directed:
    """All rings of `threads` entries; then those of two."""

    name = "directed"
    pruned = 0

    def __init__(
        self,
        wants: Wants,
        scenario: Scenario,
        threads: int,
        only: frozenset[Entry] = frozenset(),
        most: int = 2_000,
    ) -> None:
        """`only`: rings of these entries; empty: of any."""
        self._only = only
        self._scenario = scenario
        self._left = most
        self.rings = 0
        self._schedules = self._all(wants, threads)
        self._tried: set[Schedule] = set()

    def _all(self, wants: Wants, threads: int) -> Iterator[Schedule]:
        for length in dict.fromkeys((threads, 2)):
            for ring in wants.rings(length, self._only):
                self.rings += 1
                yield from schedules(ring, lines=self._scenario.lines)

    def next(self) -> Job | None:
        for schedule in self._schedules:
            if schedule in self._tried:
                continue
            if not self._left:
                return None
            self._left -= 1
            self._tried.add(schedule)
            scenario = self._scenario.with_(entries=schedule.entries)
            return Job(scenario, schedule, steps=True)
        return None

    def told(self, job: Job, result: Result) -> None:
        """Nothing to learn: the next ring is another."""
