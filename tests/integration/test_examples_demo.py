"""`importtrace demo`: the story fits the interpreter it is told on, and fits a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from importtrace import demo

if TYPE_CHECKING:
    from pathlib import Path


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "importtrace", "demo"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def told() -> str:
    """What the demo prints on this interpreter."""
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def chapter(told: str, number: int) -> str:
    """A chapter's text, without its title."""
    parts = re.split(r"^\d\. .*$", told, flags=re.M)
    return parts[number]


def test_it_fits_a_terminal(told: str) -> None:
    """Eighty columns, no escape sequences when piped, no path of this machine."""
    assert max(map(len, told.splitlines())) <= 80
    assert "\033" not in told
    assert os.fspath(demo.find_example()) not in told


def test_every_lesson_fits_a_terminal() -> None:
    """Those for other releases, too, which this interpreter does not print."""
    texts = [value for name, value in vars(demo).items() if name.isupper() and "\n" in str(value)]
    assert demo.THE_DEADLOCK in texts
    assert max(len(line) for text in texts for line in text.splitlines()) <= 80


def test_it_shows_what_the_service_printed(told: str) -> None:
    """The log is that of a service of which this interpreter made what it makes of it."""
    service = demo.find_example() / "service.py"
    plain = subprocess.run([sys.executable, service], capture_output=True, text=True, timeout=60)
    log = chapter(told, 2)
    assert plain.stdout.strip() in log
    threads = re.findall(r"^Exception in thread (\S+):", plain.stderr, flags=re.M)
    assert re.findall(r"^ +Exception in thread (\S+):", log, flags=re.M) == threads


def test_the_timeline_has_the_three_threads(told: str) -> None:
    """Side by side, each with what it did to the package."""
    table = chapter(told, 3)
    assert re.search(r"^ +ms +warm-up-1 +warm-up-2 +warm-up-3$", table, flags=re.M)
    assert "starts exceptions" in table
    assert "waits for" in table


def test_an_error_is_explained_and_its_absence_too(told: str) -> None:
    """Where a thread fails there are causes and a remedy; where none does, the reason why."""
    if "Exception in thread" in chapter(told, 2):
        assert re.search(r"\[(thread_race|lock_order)\]", chapter(told, 4))
        assert "Import the package once" in chapter(told, 5)
        mended = chapter(told, 6)
    else:
        assert "On this Python all three threads are served" in chapter(told, 3)
        mended = chapter(told, 4)
    assert "service: ready" in mended
    assert "Exception" not in mended
    assert "4 modules of `exceptions` loaded, none failed, none" in mended


def test_three_errors_are_said_to_have_one_root(told: str) -> None:
    """Where the race gives three errors, the explanations end with the line they share."""
    if chapter(told, 2).count("Exception in thread") < 3:
        pytest.skip("the three errors do not occur on this release")
    assert "All 3 errors have one root: exceptions/exceptions_service.py, line 12" in chapter(
        told, 4
    )


def test_settings_of_the_caller_are_not_the_demos() -> None:
    """IMPORTTRACE_* in the environment is meant for other programs."""
    done = run(IMPORTTRACE_FILE="/nonexistent/t.jsonl", IMPORTTRACE_MODE="finder")
    assert (done.returncode, done.stderr) == (0, "")
    assert "waits for" in done.stdout


def test_a_missing_example_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation without its data says what is missing and what to do."""
    monkeypatch.setattr(demo, "__file__", os.fspath(tmp_path / "a" / "b" / "demo.py"))
    with pytest.raises(Exception, match=r"example is missing: no .*_examples; install") as caught:
        demo.find_example()
    assert "\n" not in str(caught.value)
