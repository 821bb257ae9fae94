"""Faults in our own code, inside the program's imports: the program must not notice (faults.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "faults.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each run is a forked process")


def faults(*arguments: str, timeout: float) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " 0 changed outcomes" in done.stdout
    runs, hit = done.stdout.splitlines()[-1].split()[0:4:2]
    assert int(hit) >= 0.9 * int(runs.rstrip(",")), "most runs met no fault: nothing was tested"


@pytest.mark.parametrize("more", [("--runs", "16"), ("--runs", "9", "--mode", "finder")])
def test_a_sample_of_faults(more):
    """A new seed each time; the seed is in the output of a failure."""
    faults(*more, timeout=200)


@pytest.mark.stress
@pytest.mark.parametrize("mode", ["auto", "finder"])
@pytest.mark.parametrize("two", [(), ("--two",)], ids=["one", "two"])
def test_a_thousand_faults(mode, two):
    """One fault, or a second among what runs because of the first."""
    faults("--runs", "1000", "--mode", mode, *two, timeout=3600)


@pytest.mark.stress
@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_each_line_of_ours_in_turn(mode):
    """Each line that the program's imports reach raises once."""
    faults("--in-turn", "--mode", mode, timeout=3600)
