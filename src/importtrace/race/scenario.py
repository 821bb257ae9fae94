"""What is run: the entries, and what is done to the child before the target is imported.

Scenario(entries=("exceptions", "exceptions.exceptions_agent"), path=("src",))
Scenario(("json",), set_up=(SetUp("env", ("DEBUG", "1")),))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from importtrace.race.errors import InputError


@dataclass(frozen=True, slots=True)
class Entry:
    """What one thread does: ``import module``, or ``from module import name`` where ``name`` is given.

    As text ``module`` or ``module:name``.
    """

    module: str
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Raises InputError for what can be no module."""
        module, _, name = text.partition(":")
        if not module or any(not part for part in module.split(".")):
            raise InputError(
                f"{text!r} is no module name; an entry is MODULE, or MODULE:NAME for "
                '"from MODULE import NAME"'
            )
        return cls(module, name or None)

    def __str__(self) -> str:
        return self.module if self.name is None else f"{self.module}:{self.name}"

    @property
    def statement(self) -> str:
        """As Python says it."""
        if self.name is None:
            return f"import {self.module}"
        return f"from {self.module} import {self.name}"


@dataclass(frozen=True, slots=True)
class SetUp:
    """A step that the child takes before the target is imported: what makes it another environment.

    ``name`` is one of the steps of `_steps.STEPS` ("env", "path_order", ...), or ``"module:function"``, a
    function that is imported in the child and called as ``function(*arguments)``, or ``"code"`` with the
    text of a Python program as its only argument. ``arguments`` must be plain values (what `marshal`
    takes). Steps run in the child, in their order, before the scheduler is in place: what they import
    stays imported, so a step that imports should import little.
    """

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """Immutable; equal by value.

    entries       one thread each; in one thread, one after the other, where ``threads`` is False
    threads       False: all entries in the main thread, in their order
    path          folders put in front of ``sys.path``
    set_up        see `SetUp`
    lines         a switch is possible at every line of a module's body
    watched       top-level names whose lines count with ``lines``; empty: those of the entries
    run_limit_s   a run that takes longer is a `timeout`
    further       per thread, what it imports after its entry, one after the other, whether or not one fails
    """

    entries: tuple[Entry, ...]
    threads: bool = True
    path: tuple[str, ...] = ()
    set_up: tuple[SetUp, ...] = ()
    lines: bool = False
    watched: tuple[str, ...] = ()
    run_limit_s: float = 10.0
    further: tuple[tuple[Entry, ...], ...] = ()

    @classmethod
    def of(cls, *entries: str, **options: Any) -> Scenario:
        """From texts: ``Scenario.of("a", "a.b:name", path=("src",))``."""
        return cls(tuple(Entry.parse(text) for text in entries), **options)

    def with_(self, **changes: Any) -> Scenario:
        return replace(self, **changes)

    @property
    def tops(self) -> tuple[str, ...]:
        """The top-level packages that the entries are of."""
        return tuple(dict.fromkeys(entry.module.partition(".")[0] for entry in self.entries))
