"""One record of a spool file as a value; the grammar is in `_spool_format.py`.

Nothing here trusts the file: a record that does not fit the grammar raises Damaged, and numbers and
sizes are bounded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from importtrace import _spool_format as layout

Key = tuple[int, int]  # a load or request: its thread's serial, its begin

NOBODY: Key = (0, 0)
_MOST_DIGITS = 19  # 63 bits

# letter: how many numbers and strings follow
_SHAPES = {
    "t": (2, 1),
    "p": (1, 2),
    "b": (6, 3),
    "s": (5, 2),
    "x": (5, 2),
    "E": (10, 3),
    "r": (11, 3),
    "c": (2, 1),
    "u": (2, 0),
    "y": (1, 1),
    "h": (1, 1),
    "z": (1, 3),
}


class Damaged(ValueError):
    """The bytes are no record."""


@dataclass(frozen=True, slots=True)
class Event:
    """``letter`` says which; ``numbers`` and ``strings`` as many as that letter has. Slots tell events,
    too: "b", "s", and two that no text has, "i" (a "b" whose importer is its parent's body: only the
    module's name) and "e" (serial, begin, end).

    A string that was absent is ``""``. ``at`` is the record's offset in the file.
    """

    letter: str
    numbers: tuple[int, ...]
    strings: tuple[str, ...]
    at: int

    @property
    def key(self) -> Key:
        return self.numbers[0], self.numbers[1]


def parse(data: bytes, at: int) -> Event | None:
    """The record in ``data``; None for a letter that a later version may have added."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Damaged("no UTF-8") from error
    letter = text[:1]
    shape = _SHAPES.get(letter)
    if shape is None:
        if letter.isascii() and letter.isalpha():
            return None
        raise Damaged("unknown kind")
    head, *strings = text[1:].split(layout.SEPARATOR, 1 if shape[1] == 1 else -1)
    words = head.split(" ")
    if len(words) != shape[0] or len(strings) != shape[1]:
        raise Damaged("wrong number of fields")
    if not all(word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS for word in words):
        raise Damaged("not a number")
    return Event(letter, tuple(map(int, words)), tuple(strings), at)


def parse_json(text: str) -> dict[str, Any]:
    """An object that the writer made by hand; raises Damaged."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise Damaged("no JSON") from error
    if not isinstance(value, dict):
        raise Damaged("no JSON object")
    return value
