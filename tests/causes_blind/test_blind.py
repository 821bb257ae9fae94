"""The blind corpus: what is said of a failure, against what was written down of it beforehand.

The expectations come from the design and from real-life failures, not from the code that explains: where
one of these tests fails, the explanation is wrong until a reader of the *program* says otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .checks import run_all
from .programs import again, cycles, environment, failures, threads

if TYPE_CHECKING:
    from .model import Program

PROGRAMS = [
    program
    for table in (cycles, failures, environment, threads, again)
    for program in table.TABLE.programs
]
BATCH = 8
BATCHES = [PROGRAMS[at : at + BATCH] for at in range(0, len(PROGRAMS), BATCH)]


def told(found: dict[str, list[str]]) -> None:
    lines = [f"{name}: {fault}" for name, faults in found.items() for fault in faults]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch[0].name)
def test_what_is_said_is_true(batch: list[Program]) -> None:
    """In mode auto, every fact of every cause is one that may be said, and the known ones are said."""
    told(run_all(batch))


@pytest.mark.integration
@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch[0].name)
def test_the_probes_alone_say_the_same(batch: list[Program]) -> None:
    """Without the finder, nothing false is said either."""
    told(run_all(batch, "probes"))


INJECTED = {
    "flask_app_models": "'db' is bound at",
    "installed_but_broken": "fastlib_dep_x",
    "shadow_email": "stands in front of",
    "native_absent": "has no '_fast'",
    "unrelated_in_handler": "the body of svc raised ValueError",
}


@pytest.mark.parametrize("name", INJECTED)
def test_by_injection(name: str, tmp_path: Path) -> None:
    """The same program, started by plain `python main.py` with our folder on PYTHONPATH, prints the note."""
    import importtrace

    program = next(one for one in PROGRAMS if one.name == name)
    for path, text in program.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    site = Path(importtrace.__file__).parent / "inject" / "site"
    done = subprocess.run(
        [sys.executable, str(tmp_path / program.entry)],
        env={**os.environ, "PYTHONPATH": str(site), "IMPORTTRACE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    _, found, note = done.stderr.partition("\nimporttrace: ")
    assert found, done.stderr
    assert INJECTED[name] in note
    for kind in program.expect["main"].allowed:
        if f"[{kind}]" in note.splitlines()[0]:
            return
    pytest.fail(note, pytrace=False)
