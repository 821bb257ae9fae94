"""Who loaded what, and where the time went: a trace's loads as a tree, and sums over it.

    analyse(trace).threads[0].total_ns      all the time the first thread spent importing

Pure: records in, values out. All times are nanoseconds. Every load is in the tree exactly once,
below the load during which *its own thread* asked for it. A thread's first load stands at the top
even where it is known which load started the thread: the two run side by side, so the time of the
one is no part of the other's. For each thread::

    total_ns == sum of self_ns + sum of wait_ns        over its loads and its top-level waits

which holds for damaged files, too: there a negative ``self_ns`` shows what does not fit.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.analysis.failed import failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from importtrace.records import ImportRecord, ThreadRef, Trace

STANDARD_LIBRARY = "standard library"
APPLICATION = "the program's own"

_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


@dataclass(frozen=True, slots=True)
class Load:
    """One load in the tree.

    ``total_ns`` is how long it took, everything included. ``wait_ns`` is what of it was spent
    blocked on other threads, in the load itself and not in the loads below it. ``self_ns`` is the
    rest: finding, compiling and executing this module alone. ``depth`` is 0 at the top.
    """

    record: ImportRecord
    depth: int
    total_ns: int
    self_ns: int
    wait_ns: int
    children: int


@dataclass(frozen=True, slots=True)
class Thread:
    """Sums over one thread; ``first_ns`` and ``last_ns`` bound its importing."""

    thread: ThreadRef
    loads: int
    failed: int
    total_ns: int
    self_ns: int
    wait_ns: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """Sums over what was installed together. ``version`` is None where the trace does not say."""

    name: str
    version: str | None
    loads: int
    self_ns: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """A trace in numbers.

    ``tree`` holds the loads of one thread after the other, each before what it loaded.
    ``elapsed_ns`` reaches from the trace's start to the ready mark, or else to the end of the last
    record. ``importing_ns`` is the time in which at least one thread was importing; ``work_ns`` the
    sum of all self times, more than that where threads imported side by side. ``failed`` counts
    exceptions, not the bodies they passed through; those that the program caught are ``handled``.
    """

    tree: tuple[Load, ...]
    threads: tuple[Thread, ...]
    distributions: tuple[Distribution, ...]
    elapsed_ns: int
    importing_ns: int
    work_ns: int
    wait_ns: int
    failed: int
    handled: int
    handed_out: int
    compiled: int

    def slowest(self, count: int) -> list[Load]:
        """The loads with the most self time, slowest first."""
        return sorted(self.tree, key=lambda load: (-load.self_ns, load.record.start_ns))[:count]


def analyse(trace: Trace) -> Analysis:
    """All figures of a trace."""
    forest = _Forest(trace.records)
    tree = tuple(forest.walk())
    threads = _threads(forest, tree)
    failed = failures(trace.records)
    return Analysis(
        tree=tree,
        threads=threads,
        distributions=_distributions(tree, trace.header.get("versions")),
        elapsed_ns=elapsed_ns(trace),
        importing_ns=_covered(_interval(record) for record in forest.roots),
        work_ns=sum(load.self_ns for load in tree),
        wait_ns=sum(thread.wait_ns for thread in threads),
        failed=sum(record.handled is not True for record in failed),
        handled=sum(record.handled is True for record in failed),
        handed_out=sum(record.outcome == "partial" for record in trace.records),
        compiled=sum(load.record.bytecode == "compiled" for load in tree),
    )


def elapsed_ns(trace: Trace) -> int:
    """From the trace's start to the ready mark, or to the end of the last record."""
    ready = trace.header.get("ready_ns")
    if isinstance(ready, int):
        return ready
    return max((_interval(record)[1] for record in trace.records), default=0)


def thread_key(thread: ThreadRef) -> tuple[str, int]:
    """Tells threads apart: idents are reused, serials are not, but a foreign file may lack them."""
    return ("serial", thread.serial) if thread.serial is not None else ("id", thread.id)


class _Forest:
    """Records by who asked for them. Records are told apart by position, not id: a damaged file may
    use an id twice, or have two records that are each other's parent."""

    def __init__(self, records: tuple[ImportRecord, ...]) -> None:
        self.records = records
        by_id = {record.id: at for at, record in enumerate(records) if record.kind == "load"}
        self.below: dict[int, list[int]] = {}
        tops: list[int] = []
        for at, record in enumerate(records):
            above = by_id.get(record.parent) if record.parent is not None else None
            if above is None or not self._inside(above, at):
                tops.append(at)
            else:
                self.below.setdefault(above, []).append(at)
        self.roots = [records[at] for at in tops]
        self._tops = [at for at in tops if records[at].kind == "load"]

    def _inside(self, above: int, at: int) -> bool:
        # A load begins after the one it is part of. The position breaks ties, so no rings.
        outer, inner = self.records[above], self.records[at]
        return thread_key(outer.thread) == thread_key(inner.thread) and (
            (outer.start_ns, above) < (inner.start_ns, at)
        )

    def walk(self) -> Iterator[Load]:
        """Each load once, a parent before its children, one thread after the other."""
        order: dict[tuple[str, int], list[int]] = {}
        for at in self._tops:
            order.setdefault(thread_key(self.records[at].thread), []).append(at)
        stack = [(at, 0) for tops in reversed(list(order.values())) for at in reversed(tops)]
        totals = self._totals()
        while stack:
            at, depth = stack.pop()
            record = self.records[at]
            inside = self.below.get(at, ())
            loads = [child for child in inside if self.records[child].kind == "load"]
            waited = (record.wait_ns or 0) + sum(
                totals[child] for child in inside if self.records[child].kind != "load"
            )
            total = totals[at]
            yield Load(
                record=record,
                depth=depth,
                total_ns=total,
                self_ns=total - waited - sum(totals[child] for child in loads),
                wait_ns=waited,
                children=len(loads),
            )
            stack.extend((child, depth + 1) for child in reversed(loads))

    def _totals(self) -> list[int]:
        totals = [0] * len(self.records)
        # Children stand after their parents in time, so going backwards meets them first.
        order = sorted(range(len(totals)), key=lambda at: (self.records[at].start_ns, at))
        for at in reversed(order):
            record = self.records[at]
            if record.kind != "load":  # what it did besides waiting is its load's own time
                totals[at] = record.wait_ns or 0
            elif record.duration_ns is not None:
                totals[at] = record.duration_ns
            else:  # it never ended: at least what is known to have happened in it
                known = sum(totals[child] for child in self.below.get(at, ()))
                totals[at] = known + (record.wait_ns or 0)
        return totals


def _threads(forest: _Forest, tree: tuple[Load, ...]) -> tuple[Thread, ...]:
    loads: dict[tuple[str, int], list[Load]] = {}
    for load in tree:
        loads.setdefault(thread_key(load.record.thread), []).append(load)
    waits: dict[tuple[str, int], list[ImportRecord]] = {}
    for record in forest.roots:
        if record.kind != "load":
            waits.setdefault(thread_key(record.thread), []).append(record)
    spans: dict[tuple[str, int], list[tuple[int, int]]] = {}
    names: dict[tuple[str, int], ThreadRef] = {}
    for record in forest.roots:
        key = thread_key(record.thread)
        spans.setdefault(key, []).append(_interval(record))
        names.setdefault(key, record.thread)
    found = []
    for key, thread in names.items():
        own = loads.get(key, [])
        waited = sum(record.wait_ns or 0 for record in waits.get(key, ()))
        found.append(
            Thread(
                thread=thread,
                loads=len(own),
                failed=sum(load.record.outcome == "failed" for load in own),
                total_ns=sum(load.total_ns for load in own if load.depth == 0) + waited,
                self_ns=sum(load.self_ns for load in own),
                wait_ns=sum(load.wait_ns for load in own) + waited,
                first_ns=min(begin for begin, _ in spans[key]),
                last_ns=max(end for _, end in spans[key]),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.first_ns, thread_key(one.thread))))


def _distributions(tree: tuple[Load, ...], versions: Any) -> tuple[Distribution, ...]:
    known = {}
    if isinstance(versions, dict):
        known = {_normal(name): (name, version) for name, version in versions.items()}
    sums: dict[str, tuple[int, int]] = {}
    for load in tree:
        name = distribution(load.record)
        count, spent = sums.get(name, (0, 0))
        sums[name] = (count + 1, spent + load.self_ns)
    found = []
    for name, (count, spent) in sums.items():
        shown, version = known.get(_normal(name), (name, None))
        found.append(Distribution(shown, version, count, spent))
    return tuple(sorted(found, key=lambda one: (-one.self_ns, one.name)))


def distribution(record: ImportRecord) -> str:
    """What a module was installed with: the standard library, the program itself, or the name of
    its top-level package, which is as near to the distribution's name as a trace can tell."""
    top = record.module.partition(".")[0]
    if record.origin is not None and _INSTALLED.search(record.origin):
        return top
    if top in sys.stdlib_module_names or record.origin in ("built-in", "frozen"):
        return STANDARD_LIBRARY
    return APPLICATION


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", str(name)).lower()


def _duration(record: ImportRecord) -> int:
    return record.duration_ns if record.duration_ns is not None else record.wait_ns or 0


def _interval(record: ImportRecord) -> tuple[int, int]:
    return record.start_ns, record.start_ns + _duration(record)


def _covered(intervals: Iterable[tuple[int, int]]) -> int:
    """How much time lies in at least one of the intervals."""
    covered = 0
    reached: int | None = None
    for begin, end in sorted(intervals):
        if reached is None or begin > reached:
            reached = begin
        if end > reached:
            covered += end - reached
            reached = end
    return covered
