"""What a proven failure is written as: a schedule file, and a pytest test that fails now."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from importtrace.race.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from importtrace.race.proof import Proof


def check(folder: str) -> None:
    """Raises InputError where nothing could be written to `folder`: before the search, not after it."""
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise InputError(f"-o {folder!r}: {there!r} is no folder; name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"-o {folder!r}: {there!r} cannot be written to; name another folder")


def write(
    folder: str, proofs: Iterable[Proof], python: str, path: tuple[str, ...]
) -> dict[int, tuple[str, str]]:
    """Writes `NAME.schedule` and `test_NAME.py` for each proof; returns both paths by its number."""
    written = {}
    try:
        os.makedirs(folder, exist_ok=True)
        taken: set[str] = set()
        for number, proof in enumerate(proofs, start=1):
            name = _name(proof)
            while name in taken:
                name += "_again"
            taken.add(name)
            schedule = os.path.join(folder, f"{name}.schedule")
            test = os.path.join(folder, f"test_{name}.py")
            _write(schedule, schedule_text(proof, python))
            _write(test, test_text(proof, name, python, path, folder))
            written[number] = schedule, test
    except OSError as error:
        raise InputError(
            f"cannot write to {folder!r}: {error.strerror or error}; name another folder with -o"
        ) from error
    return written


def _write(file: str, text: str) -> None:
    with open(file, "w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)


def _name(proof: Proof) -> str:
    modules = dict.fromkeys(entry.module for entry in proof.schedule.entries)
    last = [module.rpartition(".")[2] for module in modules]
    top = proof.schedule.entries[0].module.partition(".")[0]
    parts = [top, *[name for name in last if name != top]]
    return "import_race_" + re.sub(r"\W+", "_", "_".join(parts))[:60]


def schedule_text(proof: Proof, python: str) -> str:
    lines = [
        f"# {proof.result.message or proof.result.outcome}",
        f"# Python {python}, replayed {proof.text}",
        "# importtrace reproduce --schedule THIS_FILE",
        str(proof.schedule),
    ]
    return "\n".join(line.replace("\r", " ") for line in lines) + "\n"


def test_text(proof: Proof, name: str, python: str, path: tuple[str, ...], folder: str) -> str:
    """Needs pytest and importtrace, nothing else; folders of `--path` are named from the test's own."""
    statements = " | ".join(entry.statement for entry in proof.schedule.entries)
    summary = (proof.cause or {}).get("summary") or proof.result.message or proof.result.outcome
    folders = "".join(
        f"    HERE / {os.path.relpath(entry, folder)!r},\n" for entry in map(os.path.abspath, path)
    )
    where = f"(\n{folders})" if folders else "()"
    said = _docstring(f"{statements}. {summary}")
    return f'''\
"""Written by importtrace reproduce, on Python {python}, where this failed {proof.text} times.

The threads run in a process of their own and are switched where SCHEDULE says. Once the imports are
mended, the test passes; it is worth keeping.
"""

from pathlib import Path

from importtrace.race import run_schedule

HERE = Path(__file__).parent
PATH = {where}
SCHEDULE = {str(proof.schedule)!r}


def test_{name}():
    """{said}"""
    result = run_schedule(SCHEDULE, path=[str(folder) for folder in PATH])
    assert result.ok, f"{{result.outcome}}: {{result.message}}"
'''


def _docstring(text: str) -> str:
    # Cut before anything is escaped: half an escape, or a quote at the end, would close it too late.
    text = " ".join(text.split())[:600].replace("\\", "\\\\").replace('"""', "'''")
    return f"{text}." if text.endswith('"') else text
