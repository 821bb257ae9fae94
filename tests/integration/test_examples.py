"""The example of docs and demo: three warm-up threads, three errors, one root.

It needs nothing but the interpreter. Which errors there are is decided by importlib, and so by the
patch release; what the example promises is that it is always the same ones.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "warmup_race"
SERVICE = EXAMPLE / "service.py"
PACKAGE = EXAMPLE / "as_found" / "exceptions"

RACE = (
    "warm-up-1 ImportError: cannot import name 'AgentError' from partially initialized module "
    "'exceptions.exceptions_agent'",
    "warm-up-2 KeyError: 'exceptions'",
    "warm-up-3 ImportError: cannot import name 'ServiceError' from 'exceptions'",
)
DEADLOCK = (
    "warm-up-1 _frozen_importlib._DeadlockError: deadlock detected by "
    "_ModuleLock('exceptions.exceptions_agent')",
)
NOTHING: tuple[str, ...] = ()

# What was seen; a release that is not listed must come out as one of the three.
SEEN = {
    (3, 11, 7): RACE,
    (3, 12, 1): RACE,
    (3, 13, 0): RACE,
    (3, 13, 18): DEADLOCK,
    (3, 14, 10): DEADLOCK,
    (3, 15, 2): NOTHING,
}
STATEMENTS = (
    "import exceptions",
    "import exceptions.exceptions_agent",
    "from exceptions import ServiceError",
)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, without the settings that a test run may have."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("IMPORTTRACE")}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def errors(stderr: str) -> tuple[str, ...]:
    """`thread error: message` of each traceback, without what differs from run to run."""
    found = []
    for thread, trace in re.findall(
        r"^Exception in thread (\S+):\n(Traceback.*?\n(?=\S)(?!Traceback).*?)$",
        stderr,
        flags=re.M | re.S,
    ):
        message = trace.splitlines()[-1]
        message = re.sub(
            r" at \d+$| \(most likely.*| \([^()]*\.py\)| \(consider ren.*", "", message
        )
        found.append(f"{thread} {message}")
    return tuple(found)


def expected() -> tuple[str, ...] | None:
    return SEEN.get(sys.version_info[:3])


def test_the_race_comes_out_the_same_way_twenty_times() -> None:
    """Gates decide the order, so twenty starts in a row end with the very same errors."""
    outcomes = {errors(run(SERVICE).stderr) for _ in range(20)}
    assert len(outcomes) == 1
    [outcome] = outcomes
    assert outcome in (RACE, DEADLOCK, NOTHING)
    if expected() is not None:
        assert outcome == expected()


def test_the_service_says_by_its_exit_code_whether_it_is_ready() -> None:
    """Exit code 1 and a line on stdout where a thread failed, else 0."""
    done = run(SERVICE)
    failed = len(errors(done.stderr))
    if failed:
        assert done.stdout == f"service: not ready, {failed} of 3 warm-up threads failed\n"
        assert done.returncode == 1
    else:
        assert (done.stdout, done.stderr, done.returncode) == ("service: ready\n", "", 0)


@pytest.mark.parametrize("order", list(itertools.permutations(STATEMENTS)), ids=" / ".join)
def test_one_thread_can_import_it_in_any_order(order: tuple[str, ...]) -> None:
    """Without threads there is nothing to see: that is why it never failed on a laptop."""
    done = run(
        "-c", "\n".join(order), PYTHONPATH=os.pathsep.join(map(str, (EXAMPLE, PACKAGE.parent)))
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--import-first", "--mended"])
def test_importing_it_before_the_threads_start_mends_it(option: str) -> None:
    """A module that is finished before the first thread starts cannot be met half-built."""
    done = run(SERVICE, option)
    assert (done.stdout, done.stderr, done.returncode) == ("service: ready\n", "", 0)


def test_breaking_the_circle_removes_the_race_but_not_the_deadlock() -> None:
    """Holding a child's lock while waiting for its parent is enough; no circle in the code."""
    done = run(SERVICE, "--without-cycle")
    if errors(run(SERVICE).stderr) == DEADLOCK:
        assert errors(done.stderr) == DEADLOCK
    else:
        assert (done.stdout, done.stderr, done.returncode) == ("service: ready\n", "", 0)


# Traced ------------------------------------------------------------------------------------


def line_of(file: str, text: str) -> int:
    """The number of the line that begins so, or the last of them."""
    lines = (PACKAGE / file).read_text().splitlines()
    return max(number for number, line in enumerate(lines, start=1) if line.startswith(text))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The service under `importtrace run`: the finished process and its trace file."""
    path = tmp_path_factory.mktemp("race") / "t.jsonl"
    options = ("--log", "off", "--spans", "off", "-o", path)
    done = run("-m", "importtrace", "run", *options, SERVICE)
    assert path.exists(), done.stderr
    return done, path


@pytest.fixture(scope="module")
def causes(traced: tuple[Any, Path]) -> dict[str, dict[str, Any]]:
    """The cause of each warm-up thread's failure, as `importtrace explain --json` gives it."""
    done = run("-m", "importtrace", "explain", "--json", traced[1])
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = {}
    for pair in json.loads(done.stdout):
        record, cause = pair["import"], pair["cause"]
        if record is not None and record.get("handled"):
            continue
        name = (record or cause["chain"][-1])["thread"]["name"]
        assert name not in found, f"two causes for {name}"
        found[name] = cause
    return found


race_only = pytest.mark.skipif(
    expected() not in (RACE, None), reason="the three errors do not occur on this release"
)


def test_tracing_changes_nothing(traced: tuple[Any, Path]) -> None:
    """The same errors, the same exit code, the same stdout as without importtrace."""
    plain, done = run(SERVICE), traced[0]
    assert errors(done.stderr) == errors(plain.stderr)
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)


@race_only
def test_each_thread_has_its_kind(causes: dict[str, dict[str, Any]]) -> None:
    """One thread met a half-built module; the other two were hit by its failure."""
    assert {thread: cause["kind"] for thread, cause in causes.items()} == {
        "warm-up-1": "thread_race",
        "warm-up-2": "failed_in_other_thread",
        "warm-up-3": "failed_in_other_thread",
    }


@race_only
def test_all_three_name_the_same_root(causes: dict[str, dict[str, Any]]) -> None:
    """Whichever of the three errors somebody looks at, it leads to the same line."""
    roots = [causes[f"warm-up-{number}"]["root"] for number in (1, 2, 3)]
    assert roots[0] == roots[1] == roots[2]
    root = roots[0]
    assert Path(root["file"]) == PACKAGE / "exceptions_service.py"
    assert root["line"] == line_of("exceptions_service.py", "from .exceptions_agent")
    assert root["thread"]["name"] == "warm-up-1"
    assert root["type"] == "ImportError"
    assert "'AgentError'" in root["message"]


@race_only
def test_the_race_is_told_with_what_was_missing_and_who_held_it(
    causes: dict[str, dict[str, Any]],
) -> None:
    """The name, where it would have been bound, and who was building the module meanwhile."""
    cause = causes["warm-up-1"]
    assert (cause["module"], cause["name"]) == ("exceptions.exceptions_agent", "AgentError")
    assert Path(cause["bound_at"]["file"]) == PACKAGE / "exceptions_agent.py"
    assert cause["bound_at"]["line"] == line_of("exceptions_agent.py", "class AgentError")
    partial = cause["partial"]
    assert (partial["module"], partial["state"]) == ("exceptions.exceptions_agent", "body_running")
    assert partial["held_by"]["thread"]["name"] == "warm-up-2"
    assert partial["held_by"]["line"] == line_of("exceptions_agent.py", "from .exceptions_service")
    assert "AgentError" not in partial["bound_names"]


@race_only
def test_the_circle_of_modules_and_that_of_threads_are_told(
    causes: dict[str, dict[str, Any]],
) -> None:
    """Two modules import each other, and two threads wait for each other."""
    cause = causes["warm-up-1"]
    modules = [step["module"] for step in cause["cycle"]]
    assert modules[0] == modules[-1]
    assert set(modules) == {"exceptions.exceptions_service", "exceptions.exceptions_agent"}
    waits = {
        (wait["thread"]["name"], wait["for"], wait["held_by"]["name"]) for wait in cause["waits"]
    }
    assert ("warm-up-2", "exceptions.exceptions_service", "warm-up-1") in waits


@race_only
def test_the_third_thread_is_told_what_it_waited_for(causes: dict[str, dict[str, Any]]) -> None:
    """Its bare "cannot import name" is the end of a wait for a load that failed elsewhere."""
    [wait] = [
        wait for wait in causes["warm-up-3"]["waits"] if wait["thread"]["name"] == "warm-up-3"
    ]
    assert (wait["for"], wait["held_by"]["name"]) == ("exceptions", "warm-up-1")
    assert wait["ms"] > 0


@pytest.mark.skipif(expected() not in (DEADLOCK, None), reason="no _DeadlockError on this release")
def test_a_deadlock_is_told_as_lock_order(
    traced: tuple[Any, Path], causes: dict[str, dict[str, Any]]
) -> None:
    """Newer releases end the deadlock in one thread; the cause says who waited for whom."""
    if errors(traced[0].stderr) != DEADLOCK:
        pytest.skip("no _DeadlockError on this release")
    assert set(causes) == {"warm-up-1"}
    cause = causes["warm-up-1"]
    assert cause["kind"] == "lock_order"
    waits = {(wait["thread"]["name"], wait["held_by"]["name"]) for wait in cause["waits"]}
    assert waits >= {("warm-up-1", "warm-up-2"), ("warm-up-2", "warm-up-1")}


@pytest.mark.skipif(expected() not in (NOTHING, None), reason="it fails on this release")
def test_where_nothing_fails_nothing_is_explained(
    traced: tuple[Any, Path], causes: dict[str, dict[str, Any]]
) -> None:
    """Python 3.15 takes the parent's lock first: all three are served, and there is no cause."""
    if errors(traced[0].stderr) != NOTHING:
        pytest.skip("it fails on this release")
    assert causes == {}
