"""Which entries to run at once, the likeliest to meet first. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from importtrace.race.scenario import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from importtrace.race.strategies.directed import Wants

FEW_MODULES = 8  # of a package this small, all pairs of modules are tried


def groups(
    given: Sequence[Entry], fine: Sequence[str], wants: Wants, count: int
) -> Iterator[tuple[Entry, ...]]:
    """Of `count` entries each: of those `given`, else of the modules in `fine`, which can be imported
    first; the target itself is the first of them."""
    if given:
        choose = (
            itertools.combinations
            if len(given) >= count
            else itertools.combinations_with_replacement
        )
        yield from choose(given, count)
    elif count == 2:
        yield from _pairs(fine, wants)
    elif fine:
        for names in itertools.combinations(fine[: 4 * FEW_MODULES], count):
            yield tuple(map(Entry, names))
        if len(fine) < count:
            yield tuple(map(Entry, itertools.islice(itertools.cycle(fine), count)))


def _pairs(fine: Sequence[str], wants: Wants) -> Iterator[tuple[Entry, ...]]:
    if not fine:
        return
    seen = set()
    for ring in wants.rings(2):
        group = tuple(one.entry for one in ring)
        if group not in seen:
            seen.add(group)
            yield group
    pairs: Iterable[tuple[str, str]] = ((fine[0], name) for name in fine)
    if len(fine) <= FEW_MODULES:
        pairs = itertools.combinations_with_replacement(fine, 2)
    for pair in pairs:
        group = tuple(map(Entry, pair))
        if group not in seen and group[::-1] not in seen:
            seen.add(group)
            yield group
