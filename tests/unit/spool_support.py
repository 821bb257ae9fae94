"""Runs programs that leave a spool file, however they end, and reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from importtrace import spool

if TYPE_CHECKING:
    from pathlib import Path

    from importtrace.records import ImportRecord, Trace

TIMEOUT_S = 60


@dataclass(frozen=True)
class Ended:
    """A program that has ended; ``code`` is negative for a signal."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def files(self) -> list[str]:
        return spool.files(str(self.folder))

    @property
    def trace(self) -> Trace:
        """That of its only file."""
        (path,) = self.files
        return spool.read(path)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("IMPORTTRACE")}
    env.update({"IMPORTTRACE_SPOOL": str(folder), "IMPORTTRACE_LOG": "off"}, **settings)
    return env


def run(tmp_path: Path, program: str, **settings: str) -> Ended:
    """``program`` runs in ``tmp_path`` with tracing installed on its first line."""
    folder = tmp_path / "spool"
    file = tmp_path / "program.py"
    file.write_text("import importtrace; importtrace.install()\n" + textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=tmp_path,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, folder)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def open_chains(trace: Trace) -> dict[str | None, list[ImportRecord]]:
    """Thread's name -> what it was inside of, outermost first."""
    from importtrace.reports.standing import standing

    return {chain[0].thread.name: chain for chain in standing(trace)}


def places(chain: list[ImportRecord]) -> list[tuple[str, str, int | None]]:
    """(module, file that asked for it, line)."""
    return [
        (one.module, os.path.basename(one.importer.file or ""), one.importer.line)
        for one in chain
        if one.importer is not None
    ]
