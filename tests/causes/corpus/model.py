"""What a case of the corpus is, and how its program is run.

A case is a folder below ``packages/``; each of its variants is a folder in it, laid over the case's
``common/`` if there is one. ``main.py`` is the program. A line is named by its text, never by its
number: ``at("orders.py", "class Order:")`` is the one line of ``orders.py`` that holds that text.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent.parent
PACKAGES = HERE / "packages"
SUPPORT = HERE / "support"
RUNNER = "_runner_of_the_corpus.py"
LIMIT_S = 60
# The patch releases whose races were tried, 20 times each, without importtrace. Newer ones run a
# failed body again in each waiter, so that a race may end in another way there.
RACES_KNOWN = {(3, 11, 7), (3, 12, 1), (3, 13, 0)}


@dataclass(frozen=True)
class At:
    """A line: the only one in ``file`` (relative to the program) that holds ``text``.

    ``file`` may also be the base name of a file elsewhere (``pkgutil.py``), ``text`` then None.
    """

    file: str
    text: str | None

    def line(self, root: Path) -> int:
        assert self.text is not None
        lines = (root / self.file).read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if self.text in line]
        assert len(found) == 1, f"{self.text!r} stands on lines {found} of {self.file}, not on one"
        return found[0]


def at(file: str, text: str | None = None) -> At:
    return At(file, text)


@dataclass(frozen=True)
class Step:
    """A link of a cycle: ``module`` stands at this line."""

    module: str
    where: At


def step(module: str, file: str, text: str) -> Step:
    return Step(module, At(file, text))


@dataclass(frozen=True)
class Partial:
    """A half-built module; ``bound`` and ``unbound`` name what it had, and had not, by then."""

    module: str
    state: str = "body_running"
    bound: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()
    held_at: At | None = None
    held_by: str | None = None


@dataclass(frozen=True)
class Root:
    """The failure behind the failure."""

    type: str
    where: At | None = None
    modules: tuple[str, ...] = ()
    thread: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Fails:
    """One exception, and what may be said of it.

    ``kind`` may hold several where an honest maintainer could say either; None among them means
    that no explanation at all is right, too. ``notes`` is the number of notes, None where the rules
    leave it open. ``absent`` lists facts that would be wrong; for ``root`` that is one that names
    another failure. ``hint`` and ``says`` are words that the hint, and the whole text, must hold
    (any letter case), ``says_not`` words it must not.
    """

    type: str
    message: str
    kind: str | tuple[str | None, ...]
    module: str | None = None
    name: str | None = None
    cycle: tuple[Step, ...] | None = None
    starts: At | None = None
    ends: At | None = None
    through: tuple[At, ...] = ()
    partial: Partial | None = None
    bound_at: At | tuple[At, ...] | None = None
    root: Root | None = None
    caught_at: At | None = None
    waits: tuple[tuple[str, str, str], ...] = ()
    absent: tuple[str, ...] = ()
    hint: tuple[str, ...] | None = None
    says: tuple[str, ...] = ()
    says_not: tuple[str, ...] = ()
    notes: int | None = 1

    @property
    def kinds(self) -> tuple[str | None, ...]:
        return self.kind if isinstance(self.kind, tuple) else (self.kind,)


@dataclass(frozen=True)
class Case:
    """``fails`` is empty for a program that works: nothing may then be said about it.

    ``handled`` maps a module whose failure the program handled to the type of that failure;
    ``hands_out`` names modules that were handed out half-built, without harm. ``race``: the outcome
    is known for RACES_KNOWN only. ``prepare`` gets the copied files first. ``notes_within`` is the
    number of notes the program saw on an exception that had not left the outermost load.
    """

    case: str
    variant: str
    fails: dict[str, Fails] = field(default_factory=dict)
    roots: tuple[str, ...] = ()
    handled: dict[str, str] = field(default_factory=dict)
    hands_out: tuple[str, ...] = ()
    race: bool = False
    prepare: Callable[[Path], None] | None = None
    notes_within: int | None = None

    @property
    def id(self) -> str:
        return f"{self.case}-{self.variant}"


class Skip(Exception):
    """This machine or interpreter cannot show the case; the text says why."""


_kept = tempfile.TemporaryDirectory(prefix="causes-")


@functools.cache
def root_of(case_id: str, case: str, variant: str, prepare: Callable[[Path], None] | None) -> Path:
    """A copy of the program's files, one for all of its runs."""
    root = Path(os.path.realpath(_kept.name)) / case_id
    for layer in (PACKAGES / case / "common", PACKAGES / case / variant):
        if layer.is_dir():
            shutil.copytree(layer, root, dirs_exist_ok=True)
    # beside main.py, so that sys.path[0] is from the start what it is for `python main.py`
    shutil.copy(HERE / "runner.py", root / RUNNER)
    if prepare is not None:
        prepare(root)
    return root


def files_of(case: Case) -> Path:
    return root_of(case.id, case.case, case.variant, case.prepare)


@functools.cache
def _run(case_id: str, root: Path, roots: tuple[str, ...], mode: str) -> dict[str, Any]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("IMPORTTRACE", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, root / RUNNER, mode, "main.py", *(root / r for r in roots), SUPPORT],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=root,
    )
    _, found, line = done.stdout.rpartition("\nRESULT ")
    assert found, f"{case_id} under {mode!r} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return {**json.loads(line), "stderr": done.stderr}


def outcome(case: Case, mode: str) -> dict[str, Any]:
    """What ``runner.py`` says of the program under that mode. Raises Skip, AssertionError."""
    root = files_of(case)
    if case.race and sys.version_info[:3] not in RACES_KNOWN:
        wrong = differs(case, _run(case.id, root, case.roots, "off"))
        if wrong:
            raise Skip(f"this patch release ends the race in another way: {wrong}")
    return _run(case.id, root, case.roots, mode)


def differs(case: Case, result: dict[str, Any]) -> str:
    """How the exceptions differ from those of the case; empty if they do not."""
    got = {name: f"{e['type']}: {e['message']}" for name, e in result["errors"].items()}
    if set(got) != set(case.fails):
        return f"failures {got}, not of {sorted(case.fails)}"
    for name, fails in case.fails.items():
        # newer releases say "(consider renaming …)" in place of "partially initialized module"
        message = fails.message.replace(
            "partially initialized module ", "(?:partially initialized module )?"
        )
        if not re.match(f"{re.escape(fails.type)}: .*{message}", got[name], re.DOTALL):
            return f"{name}: {got[name]!r}, not {fails.type}: {fails.message}"
    return ""
