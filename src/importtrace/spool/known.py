"""What the events of a spool file add up to: loads and requests, open or over, as of the last event.

Loads and requests are kept by key (thread serial, begin); two loads never begin in one thread at one
time, except those that were open when tracing began, which the writer keeps apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace import _spool_format as layout
from importtrace.spool.events import NOBODY, Damaged, Event, Key, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_RECORDS = 1_000_000
MOST_CAUSES = 10_000


class Load:
    """``id`` is the offset of its begin in the file; 0: only its end is there. ``error`` is
    (key of the failure, type, message)."""

    __slots__ = (
        "begin",
        "body",
        "end",
        "error",
        "file",
        "flags",
        "found",
        "harmless",
        "holder",
        "id",
        "importer",
        "line",
        "loader",
        "name",
        "order",
        "origin",
        "parent",
        "serial",
        "wait",
    )

    def __init__(self, key: Key) -> None:
        self.serial, self.begin = key
        self.id = self.order = 0
        self.name = self.importer = self.file = self.origin = self.loader = ""
        self.parent = self.holder = NOBODY
        self.line = self.flags = self.found = self.body = self.end = self.wait = self.harmless = 0
        self.error: tuple[Key, str, str | None] | None = None

    @property
    def key(self) -> Key:
        return self.serial, self.begin

    @property
    def failed(self) -> bool:
        return self.error is not None or bool(self.flags & layout.FAILED)

    @property
    def void(self) -> bool:
        return bool(self.flags & layout.VOID)


class Request:
    """A thread asked for a module that another load had not finished; ``end`` 0: it still waits."""

    __slots__ = (
        "begin",
        "deadlock",
        "end",
        "file",
        "id",
        "importer",
        "line",
        "name",
        "of",
        "owner",
        "parent",
        "serial",
        "wait",
    )

    def __init__(self, event: Event) -> None:
        self.id = event.at
        self.serial, self.begin, self.end, self.wait = event.numbers[:4]
        self.parent: Key = event.numbers[4], event.numbers[5]
        self.of: Key = event.numbers[6], event.numbers[7]
        self.line = event.numbers[8]
        self.deadlock = (
            layout.DEADLOCKS[event.numbers[9]] if event.numbers[9] < len(layout.DEADLOCKS) else None
        )
        self.owner = event.numbers[10]
        self.name, self.importer, self.file = event.strings

    @property
    def order(self) -> int:
        return self.id

    @property
    def key(self) -> Key:
        return self.serial, self.begin


class Known:
    """Everything read so far. ``problem`` takes a line about what cannot be used."""

    def __init__(self, problem: Callable[[str], None]) -> None:
        self._problem = problem
        self._refused = False
        self.threads: dict[int, tuple[int, str | None]] = {}  # serial -> ident, name
        self.loads: dict[Key, Load] = {}
        self.requests: dict[Key, Request] = {}
        self.causes: dict[Key, dict[str, Any]] = {}
        self.loose: list[dict[str, Any]] = []  # causes of failures that left no load
        self.uncaught: set[Key] = set()
        self.stalls: dict[int, dict[str, Any]] = {}  # by when they were reported
        self.ready: tuple[int, str] | None = None
        self.end: tuple[str, str, str] | None = None  # end, argv0, why

    def add(self, event: Event) -> None:
        numbers, strings = event.numbers, event.strings
        if event.letter in "bisxeE":
            load = self._load(event)
            if load is not None:
                self._of_load(load, event)
        elif event.letter == "t":
            self.threads[numbers[0]] = numbers[1], strings[0] or None
        elif event.letter == "r":
            self._request(event)
        elif event.letter == "c":
            self._cause(event)
        elif event.letter == "u":
            self.uncaught.add(event.key)
        elif event.letter == "y":
            self.ready = numbers[0], strings[0]
        elif event.letter == "h":
            if len(self.stalls) < 1_000 or numbers[0] in self.stalls:
                self.stalls[numbers[0]] = parse_json(strings[0])
        elif event.letter == "z":
            self.end = strings[0], strings[1], strings[2]

    def _load(self, event: Event) -> Load | None:
        load = self.loads.get(event.key)
        if load is None:
            if self._too_many():
                return None
            load = self.loads[event.key] = Load(event.key)
        return load

    def _too_many(self) -> bool:
        full = len(self.loads) + len(self.requests) >= MOST_RECORDS
        if full and not self._refused:
            self._refused = True
            self._problem(f"more than {MOST_RECORDS:,} imports: the rest is not read")
        return full

    def _of_load(self, load: Load, event: Event) -> None:
        numbers, strings = event.numbers, event.strings
        if event.letter == "b":
            load.id = load.order = event.at
            load.parent = numbers[2], numbers[3]
            load.line, load.flags = numbers[4], load.flags | numbers[5]
            load.name, load.importer, load.file = strings
        elif event.letter == "i":
            load.id = load.order = event.at
            load.parent = numbers[2], numbers[3]
            load.line, load.flags = numbers[4], load.flags | numbers[5] | layout.INSIDE
            load.name = strings[0]
        elif event.letter == "s":
            load.found, load.body = numbers[2], numbers[3]
            load.flags |= numbers[4]
            load.origin, load.loader = strings
        elif event.letter == "x":
            message = strings[1] if numbers[4] & layout.HAS_MESSAGE else None
            load.error = (numbers[2], numbers[3]), strings[0], message
        elif not load.end:
            load.end = max(numbers[2], load.begin)
            if event.letter == "E":
                load.found, load.body, load.wait, load.harmless = numbers[3:7]
                load.flags |= numbers[7]
                load.holder = numbers[8], numbers[9]
                load.name = load.name or strings[0]
                load.origin = strings[1] or load.origin
                load.loader = strings[2] or load.loader
            load.order = load.order or event.at

    def _request(self, event: Event) -> None:
        known = self.requests.get(event.key)
        if known is None:
            if not self._too_many():
                self.requests[event.key] = Request(event)
        elif event.numbers[2] and not known.end:
            request = self.requests[event.key] = Request(event)
            request.id = known.id  # it was told as it began to wait

    def _cause(self, event: Event) -> None:
        if len(self.causes) + len(self.loose) >= MOST_CAUSES:
            return
        try:
            cause = parse_json(event.strings[0])
        except Damaged as error:
            self._problem(f"byte {event.at}: a cause that cannot be read ({error})")
            return
        if event.key == NOBODY:
            self.loose.append(cause)
        else:
            self.causes[event.key] = cause

    # what is open ----------------------------------------------------------------------------

    def ancestors(self, load: Load) -> Iterator[Load]:
        """Loads around it in its own thread, innermost first."""
        parent = load.parent
        begin = load.begin
        while parent[0] == load.serial and parent[1] < begin:  # no rings in a hostile file
            around = self.loads.get(parent)
            if around is None:
                return
            yield around
            parent, begin = around.parent, around.begin

    def open_loads(self, full_at: int) -> list[Load]:
        """Loads that are not over: in each thread those that its newest load is inside of.

        A load that began before a newer one of its thread, and is not around it, is over, though its
        end was not seen (an interrupt in the middle of it). After ``full_at`` (0: never) nothing is
        known of what began.
        """
        newest: dict[int, Load] = {}
        for load in self.loads.values():
            best = newest.get(load.serial)
            if load.id and (best is None or load.begin > best.begin):
                newest[load.serial] = load
        found = []
        for load in newest.values():
            if full_at and load.begin > full_at:
                continue
            inside = [load, *self.ancestors(load)]
            for one in inside:
                if not one.end and one.id and not one.void:
                    found.append(one)
        return found

    def finished_requests(self) -> list[Request]:
        return [request for request in self.requests.values() if request.end]

    def open_requests(self) -> list[Request]:
        """Requests that still wait: nothing newer is known of their thread."""
        last: dict[int, int] = {}
        for load in self.loads.values():
            last[load.serial] = max(last.get(load.serial, 0), load.begin, load.end)
        for request in self.requests.values():
            last[request.serial] = max(last.get(request.serial, 0), request.begin, request.end)
        # a load that came of the wait has the request's begin
        return [
            request
            for request in self.requests.values()
            if not request.end
            and last[request.serial] <= request.begin
            and request.key not in self.loads
        ]


def by_begin(records: Iterable[Load | Request]) -> list[Load | Request]:
    return sorted(records, key=lambda record: (record.begin, record.order))
