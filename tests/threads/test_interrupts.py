"""A signal handler at any point of an import, Ctrl-C or one that imports: all is as without us."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from capture_support import environment, installing

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
MODES = ("auto", "finder")  # `auto` places what `probes` places
PROGRAM = """
import sys; sys.path.insert(0, {here!r})
{start}
import interrupting; interrupting.main(session, {action!r}, sys.argv[1:])
"""
PARENTS = {
    "outer": {None},
    "inner": {"outer", "pkg.other"},
    "pkg": {"outer", "pkg.sub"},  # `from pkg.sub import` needs it; auto sees what asked
    "pkg.sub": {"outer", "pkg"},
    "pkg.other": {"pkg"},
    "bad": {"outer"},
    "below_signal": {"by_signal"},
    "last": {None},
    "below_last": {"last"},
}

# Where an exception at a function's very first instruction leaves a lock taken, or a module initializing, it
# does so with importlib's own function or statement, too; who was told nothing knows of no end.
FIRST = re.compile(r"(acquire|release|__set__) start$")

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="forks")


def interrupting(mode: str | None, action: str, *arguments: str) -> list[dict[str, Any]]:
    """What interrupting.py tells."""
    start = installing(mode, stall_seconds=0)
    program = PROGRAM.format(here=str(HERE), start=start, action=action)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # CPython itself may write of an exception in a weak reference's callback
    ours = [line for line in done.stderr.splitlines() if line.startswith("importtrace:")]
    assert not ours, ours[:5]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def points(mode: str | None, action: str) -> list[list[Any]]:
    """[of ours, where] of each."""
    found: list[list[Any]] = interrupting(mode, action, "points")[0]["points"]
    return found


SEEN = ("status", "error", "held", "ran", "there", "later")  # by the program


def wrong_in_trace(one: dict[str, Any]) -> list[str]:
    """What the trace says that is not so."""
    if one["stopped"] is not None:
        return [f"stopped: {one['stopped']}"]
    wrong = []
    well = [module for module, _, outcome in one["loads"] if outcome == "ok"]
    for module, parent, outcome in one["loads"]:
        if module in PARENTS and parent not in PARENTS[module]:
            wrong.append(f"{module} has parent {parent}")
        if outcome not in ("ok", "failed"):
            wrong.append(f"{module}: outcome {outcome}")
    ends = [name for name, what in one["ran"] + one["later"][0] if what == "ends"]
    wrong += [f"{name} did not end, but is told to" for name in well if name not in ends]
    loaded = {module for module, _, _ in one["loads"]}
    for name in one["later"][1]:
        # while an explanation is worked out, what is imported counts as ours
        if name not in loaded and not (one["muted"] and name.endswith("_signal")):
            wrong.append(f"{name} has no load")
    return wrong


def choose(numbers: Sequence[int], count: int | None) -> list[int]:
    """All for None; else so many, and the seed printed."""
    if count is None:
        return list(numbers)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed).sample(numbers, min(count, len(numbers)))


def check_theirs(action: str, count: int | None) -> None:
    before, after = points(None, action), points("auto", action)
    theirs = [where for ours, where in before if not ours]
    assert theirs == [where for ours, where in after if not ours]
    assert len(theirs) > 500
    chosen = [f"t{number}" for number in choose(range(len(theirs)), count)]
    plain = interrupting(None, action, *chosen)
    traced = interrupting("auto", action, *chosen)
    wrong = []
    for expected, one in zip(plain, traced, strict=True):
        where = one.get("where", theirs[one["chosen"][1]])
        for key in SEEN:
            if expected.get(key) != one.get(key):
                wrong.append(f"{where}: {key}: {one.get(key)} instead of {expected.get(key)}")
        if not one["status"] and not expected["held"]:  # CPython's own: `import last` sees it held
            wrong += [f"{where}: {text}" for text in wrong_in_trace(one)]
    assert action != "raise" or any(one.get("error") for one in plain)
    assert not wrong, "\n".join(wrong[:20])


def check_ours(mode: str, action: str, count: int | None) -> None:
    ours = [where for of_ours, where in points(mode, action) if of_ours]
    assert len(ours) > 50
    numbers, seen = [], set()
    for number, where in enumerate(ours):
        explains = not where.startswith(("_probes", "_bodies", "_finder", "_requests", "<frozen"))
        if where not in seen or not explains:  # what explains runs in long loops: each place once
            seen.add(where)
            numbers.append(number)
    chosen = [f"o{number}" for number in choose(numbers, count)]
    wrong = []
    for one in interrupting(mode, action, *chosen):
        if one["status"]:
            wrong.append(f"{ours[one['chosen'][1]]}: ended by signal {one['status']}")
            continue
        where = one["where"]
        if action == "raise" and FIRST.search(where):
            continue
        error = one["error"][0] if one["error"] else None
        if error != ("KeyboardInterrupt" if action == "raise" else None):
            wrong.append(f"{where}: {one['error']}")
        if one["held"]:
            wrong.append(f"{where}: lock of {one['held']} stays taken")
        if action == "import" and ["by_signal", "imported"] not in one["ran"]:
            wrong.append(f"{where}: the handler did not import")
        wrong += [f"{where}: {text}" for text in wrong_in_trace(one)]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("action", ["raise", "import"])
def test_handlers_in_frames_of_others(action):
    """A sample of the points in importlib's and the program's frames: all as without us."""
    check_theirs(action, 20)


@pytest.mark.parametrize("action", ["raise", "import"])
@pytest.mark.parametrize("mode", MODES)
def test_handlers_in_frames_of_ours(mode, action):
    """A sample of the points in our frames: the handler does what it does, no lock stays taken."""
    check_ours(mode, action, 25)


@pytest.mark.stress
@pytest.mark.parametrize("action", ["raise", "import"])
def test_handlers_in_frames_of_others_each_in_turn(action):
    """All of those points."""
    check_theirs(action, None)


@pytest.mark.stress
@pytest.mark.parametrize("action", ["raise", "import"])
@pytest.mark.parametrize("mode", MODES)
def test_handlers_in_frames_of_ours_each_in_turn(mode, action):
    """All of those points."""
    check_ours(mode, action, None)
