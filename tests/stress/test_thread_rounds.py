"""Sixty-four threads, two thousand modules with cycles; the trace equals what happened (thread_rounds.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "thread_rounds.py"


def rounds(*arguments: str, timeout: float) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    assert told["waits"] > 0, "no thread waited: nothing was tested"
    assert told["partial"] > 0
    assert "threads met hangs" not in told
    return told


@pytest.mark.parametrize("shape", [(), ("--nested",)], ids=["flat", "nested"])
def test_a_sample_of_rounds(shape):
    """One round of each shape."""
    assert rounds("--rounds", "1", *shape, timeout=200)["loads"] >= 2000


@pytest.mark.stress
@pytest.mark.parametrize("shape", [(), ("--nested",)], ids=["flat", "nested"])
def test_two_hundred_rounds(shape):
    """A hundred of each shape."""
    assert rounds("--rounds", "100", *shape, timeout=3600)["loads"] >= 200_000
