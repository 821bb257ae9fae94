"""What all text for a terminal shares: 80 columns, no control characters out of data, colour if wanted."""

from __future__ import annotations

import os
import sys
import textwrap

WIDTH = 80

BOLD, RED, YELLOW, DIM = "1", "31", "33", "2"


def colour_wanted() -> bool:
    """On a terminal that can, unless NO_COLOR says no (https://no-color.org)."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def plain(text: object) -> str:
    """Text out of a trace without control characters: a module name must not move the cursor."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in str(text)
    )


def fit(text: str, width: int) -> str:
    """Cut in the middle, where names differ least."""
    if len(text) <= width:
        return text
    tail = (width - 3) // 2
    return text[: width - 3 - tail] + "..." + text[len(text) - tail :]


def wrapped(text: str, indent: str, lines: int) -> list[str]:
    """At most so many lines of 80 columns; what follows the first is indented under it."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        max_lines=lines,
        placeholder=" ...",
    )


class Paint:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
