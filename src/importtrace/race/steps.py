"""What a run did, read from `Result.steps`. Pure.

A step is (thread, kind, module, nth, chosen, mask, top). A *decision* has `chosen` > 0: the thread stood at
that point, `mask` says who could go on (bit n: thread n), `chosen` did. A *note* has `chosen` == 0: "taken",
"own", "refused" and "wake" say what came of the last request. `top` is the innermost module whose lock the
thread held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.race.schedule import Switch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


Step = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """A thread that holds `held` is about to take `wanted`.

    `at` is that point, `before` the one before it: from there on the interpreter looks whether the module
    is in `sys.modules`, so both matter. `implied`: importlib wants the package of a module that it has
    not begun to load.
    """

    held: str
    wanted: str
    at: tuple[str, str, int]
    before: tuple[str, str, int] | None
    implied: bool


def decisions(steps: Iterable[Step]) -> Iterator[Step]:
    return (step for step in steps if step[4])


def default(step: Step) -> int:
    """Who goes on by rule."""
    mask: int = step[5]
    current: int = step[0]
    if current and mask >> current & 1:
        return current
    return (mask & -mask).bit_length() - 1


def preempts(step: Step, chosen: int) -> bool:
    """`chosen` goes on although the thread at the point could."""
    current: int = step[0]
    return chosen != current and bool(current and step[5] >> current & 1)


def switches(found: Iterable[Step]) -> tuple[Switch, ...]:
    """Of these decisions, those that are not by rule."""
    return tuple(
        Switch(step[0], step[1], step[2], step[3], step[4])
        for step in found
        if step[4] != default(step)
    )


def wants(steps: Iterable[Step], tops: Iterable[str], thread: int = 1) -> Iterator[Want]:
    """Each request for a module of `tops` by one thread while it holds the lock of another of them."""
    ours = frozenset(tops)
    held: list[str] = []
    before: tuple[str, str, int] | None = None
    for number, kind, module, nth, chosen, _, _ in steps:
        if number != thread:
            continue
        if not chosen:
            if kind == "taken":
                held.append(module)
            continue
        if kind == "acquire" and module.partition(".")[0] in ours and module not in held:
            for position, holds in enumerate(held):
                if holds.partition(".")[0] in ours:
                    implied = holds_early(held, position, module)
                    yield Want(holds, module, (kind, module, nth), before, implied)
        elif kind == "release" and module in held:
            held.remove(module)
        before = (kind, module, nth)


def holds_early(held: list[str], position: int, wanted: str) -> bool:
    """The lock at `position` is held only because its package is being imported first: a child's lock
    is taken before its package's (until 3.15), no statement of the program's asked for that order."""
    child = held[position]
    inside = [*held[position + 1 :], wanted]
    return any(child.startswith(other + ".") for other in inside)


def by_interpreter(steps: Iterable[Step], thread: int | None = None) -> bool:
    """The ring of waits that CPython found, and broke, is closed by its own order of locks: it needs no
    import to be wrong (3.11 to 3.14). Of the last ring that `thread` met, or of the last of all."""
    held: dict[int, list[str]] = {}
    waits: dict[int, str] = {}
    found: dict[int, bool] = {}
    last = 0
    for number, kind, module, _, _, _, _ in steps:
        mine = held.setdefault(number, [])
        if kind == "taken":
            mine.append(module)
            waits.pop(number, None)
        elif kind == "release" and module in mine:
            mine.remove(module)
        elif kind == "wait":
            waits[number] = module
        elif kind == "refused":
            last = number
            found[number] = _ring_is_early(held, waits, number, module)
            waits.pop(number, None)
    return found.get(thread or last, found.get(last, False))


def _ring_is_early(
    held: dict[int, list[str]], waits: dict[int, str], thread: int, wanted: str
) -> bool:
    seen: set[int] = set()
    at, refused = thread, wanted
    while at not in seen:
        seen.add(at)
        holder = next((one for one, locks in held.items() if wanted in locks and one != at), None)
        if holder is None:
            return False
        locks = held[holder]
        following = waits.get(holder, "") if holder != thread else refused
        if holds_early(locks, locks.index(wanted), following):
            return True
        if holder == thread:
            return False
        at, wanted = holder, following
    return False
