"""Loads that are told in slots of one size (`_spool_format.py`), as events.

A slot is filled in three steps, and a reader may come between them: each step is told once, when it is
there. Nothing here trusts the file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from importtrace import _spool_format as layout
from importtrace.spool.events import NOBODY, Damaged, Event, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_END = struct.Struct("<q")
_BEGIN = struct.Struct(layout.BEGIN)
_BODY = struct.Struct(layout.BODY)
_BEGIN_MARK = layout.AT_BEGIN + _BEGIN.size - 1
_BODY_MARK = layout.AT_BODY + _BODY.size - 1
_COUNT = layout.SEGMENT // layout.SLOT - 1  # the first is the segment's own

_BEGUN, _ENTERED, _OVER = 1, 2, 3
MOST_AHEAD = (
    10_000  # slots read ahead of their turn, in one call: no more than threads can bring about
)


class Slots:
    """``read(at, size)`` reads the file; ``problem`` takes a line about what cannot be used."""

    def __init__(self, read: Callable[[int, int], bytes], problem: Callable[[str], None]) -> None:
        self._read = read
        self._problem = problem
        self._steps: dict[int, bytearray] = {}  # segment's offset -> how far each slot was told
        self._keys: dict[int, Key] = {}  # slot's offset -> its load
        self._askers: dict[int, tuple[str, str]] = {}
        self._ahead = 0

    def add(self, base: int) -> None:
        """There is a segment of slots."""
        self._steps.setdefault(base, bytearray(_COUNT))

    def learn(self, event: Event) -> None:
        """A text that slots refer to."""
        if event.letter == "p":
            self._askers[event.numbers[0]] = event.strings[0], event.strings[1]

    def events(self, last: bool) -> Iterator[Event]:
        """What is new. ``last``: no more will come, so who asked is absent where no text says it."""
        self._ahead = MOST_AHEAD
        for base in sorted(self._steps):
            steps = self._steps[base]
            if steps.count(_OVER) == _COUNT:
                continue
            data = self._read(base, layout.SEGMENT)
            for number in range(_COUNT):
                if steps[number] == _OVER:
                    continue
                start = (number + 1) * layout.SLOT
                slot = data[start : start + layout.SLOT]
                if len(slot) <= _BEGIN_MARK:
                    break
                if not slot[_BEGIN_MARK]:
                    continue
                try:
                    yield from self._new(slot, base + start, steps, number, last)
                except (Damaged, UnicodeDecodeError):
                    steps[number] = _OVER
                    self._problem(f"byte {base + start}: no record (damaged slot)")

    def _new(
        self, slot: bytes, at: int, steps: bytearray, number: int, last: bool
    ) -> Iterator[Event]:
        if steps[number] < _BEGUN:
            event = self._begin(slot, at, last)
            if event is None:
                return
            self._keys[at] = event.key
            steps[number] = _BEGUN
            yield event
        key = self._keys[at]
        # The end first: who sees it set sees all that was stored before it.
        end = _END.unpack_from(slot)[0]
        if steps[number] < _ENTERED and len(slot) > _BODY_MARK and slot[_BODY_MARK]:
            event = self._body(slot, at, key)
            if event.numbers[3]:  # an extension is created first
                steps[number] = _ENTERED
            yield event
        if end < 0:
            raise Damaged("end")
        if end:
            steps[number] = _OVER
            if end != layout.TOLD:
                yield Event("e", (*key, end), (), at)

    def _begin(self, slot: bytes, at: int, last: bool) -> Event | None:
        begin, above, line, serial, asker, flags, name, mark = _BEGIN.unpack_from(
            slot, layout.AT_BEGIN
        )
        parent = self._key(above)
        serial = serial or parent[0]
        if mark != layout.MARK or begin < 0 or not serial or flags > layout.IN_SLOT:
            raise Damaged("begin")
        who = self._askers.get(asker)
        if asker and who is None:
            if not last:
                return None
            who = "", ""
        module = _text(name)
        numbers = serial, begin, *parent, line, flags
        if who is None:
            return Event("i", numbers, (module,), at)
        return Event("b", numbers, (module, *who), at)

    def _body(self, slot: bytes, at: int, key: Key) -> Event:
        found, body, how, origin, mark = _BODY.unpack_from(slot, layout.AT_BODY)
        if mark != layout.MARK or found < 0 or body < 0 or how >> 3 >= len(layout.LOADERS):
            raise Damaged("body")
        flags = layout.COMPILED if how & 4 else 0
        return Event("s", (*key, found, body, flags), (_text(origin), layout.LOADERS[how >> 3]), at)

    def _key(self, at: int) -> Key:
        """The load of a slot, also of one that is read later; NOBODY if there is none."""
        if not at:
            return NOBODY
        key = self._keys.get(at)
        if key is not None:
            return key
        begin = serial = 0
        while at and not serial and self._ahead:
            self._ahead -= 1
            base, number = at & -layout.SEGMENT, at & (layout.SEGMENT - 1)
            if base not in self._steps or number % layout.SLOT:
                return NOBODY
            slot = self._read(at, layout.AT_BODY)
            if len(slot) < layout.AT_BODY or slot[_BEGIN_MARK] != layout.MARK:
                return NOBODY
            found, at, _, serial, *_ = _BEGIN.unpack_from(slot, layout.AT_BEGIN)
            begin = begin or found
            serial = serial or self._keys.get(at, NOBODY)[0]  # its parent's
        return (serial, begin) if serial and begin > 0 else NOBODY


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "surrogatepass")
