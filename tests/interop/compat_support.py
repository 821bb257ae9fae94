"""Runs one program untraced and traced in each mode, in folders that look the same, and compares.

The tracing comes by injection, so the program's own text, arguments and line numbers are the same with
and without it. Compared are exit code, stdout and stderr; the only thing that may be added is the note on
an exception that Python prints. What a traced run leaves is returned for what else a test is about.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from capture_support import Run, environment, write

from importtrace.inject import SITE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 60
# `auto` places what `probes` places (test_compat_programs.py says so of this interpreter), so running each
# program in both shows nothing more. IMPORTTRACE_COMPAT_MODES=auto,probes,finder does it all the same.
MODES = tuple(os.environ.get("IMPORTTRACE_COMPAT_MODES", "auto,finder").split(","))
PROBED = tuple(mode for mode in MODES if mode != "finder")
NOTE = re.compile(r"importtrace: ")  # how the first line of a note begins
AFTER_NOTE = re.compile(r"(Traceback|\w+:|During|The above|  File|$)")


@dataclass(frozen=True)
class Alike:
    """The untraced run, and the traced ones by mode."""

    plain: Run
    traced: dict[str, Run] = field(default_factory=dict)

    @property
    def out(self) -> str:
        """What all of them printed."""
        return self.plain.out


def without_notes(text: str) -> str:
    """stderr less the notes of ours; each stands after the line of an exception."""
    kept, noted = [], False
    for line in text.splitlines():
        if NOTE.match(line):
            noted = True
        elif noted and not AFTER_NOTE.match(line):
            continue
        else:
            noted = False
            kept.append(line)
    return "\n".join(kept)


def shown(run: Run, varies: str = r"(?!)") -> tuple[int, str, str]:
    """What a person would see of a run: exit code, stdout, stderr; paths and `varies` made equal."""
    texts = [text.replace(str(run.folder), "FOLDER") for text in (run.out, run.err)]
    out, err = (re.sub(varies, "-", text) for text in texts)
    return run.code, out, without_notes(err)


def difference(mode: str, plain: Run, traced: Run, varies: str) -> str:
    """The lines that the mode adds and takes away."""
    before, after = shown(plain, varies), shown(traced, varies)
    lines = [f"mode {mode} changes the program; exit codes {before[0]} and {after[0]}"]
    for one, other in zip(before[1:], after[1:], strict=True):
        lines += difflib.unified_diff(one.splitlines(), other.splitlines(), "plain", mode, n=1)
    return "\n".join(lines)


def start(
    folder: Path,
    arguments: Sequence[str],
    mode: str | None,
    env: dict[str, str] | None = None,
    *,
    path: str = "",
    timeout: float = TIMEOUT_S,
    executable: str = sys.executable,
) -> Run:
    """One run in `folder`; with a mode it is injected and its trace is read. `path`: PYTHONPATH."""
    given = {"PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    trace = folder / "trace-{pid}.jsonl"
    if mode is None:
        given["PYTHONPATH"] = path
    else:
        given |= {
            "PYTHONPATH": f"{SITE}:{path}" if path else SITE,
            "IMPORTTRACE": "1",
            "IMPORTTRACE_MODE": mode,
            "IMPORTTRACE_FILE": str(trace),
            "IMPORTTRACE_LOG": "off",
            "IMPORTTRACE_SPANS": "off",
        }
    process = subprocess.Popen(
        [executable, *arguments],
        cwd=folder,
        env={key: value for key, value in environment(**given).items() if value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{arguments} hangs in mode {mode}:\n{out}\n{err}") from None
    header: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    written = folder / f"trace-{process.pid}.jsonl"
    if written.exists():
        header, *records = map(json.loads, written.read_text(encoding="utf-8").splitlines())
    return Run(process.returncode, out, err, folder, header, records)


def alike(
    folder: Path,
    program: str | None = None,
    files: dict[str, str] | None = None,
    arguments: Sequence[str] = ("program.py",),
    *,
    flags: Sequence[str] = (),
    modes: Sequence[str] = MODES,
    env: dict[str, str] | None = None,
    path: str = "",
    varies: str = r"(?!)",
    code: int | None = 0,
    traces: bool = True,
) -> Alike:
    """Asserts that the program does the same untraced and in each mode.

    `varies` is a pattern of text that differs from run to run by itself; `code` the exit code that the
    program must have (None: any, but the same); `traces` whether the process leaves a trace at all.
    """
    runs: dict[str | None, Run] = {}
    for mode in (None, *modes):
        here = folder / (mode or "plain") / "p"
        write(here, files or {})
        if program is not None:
            write(here, {"program.py": program})
        runs[mode] = start(here, [*flags, *arguments], mode, env, path=path)
    plain = runs[None]
    assert code is None or plain.code == code, f"untraced:\n{plain.out}\n{plain.err}"
    for mode in modes:
        run = runs[mode]
        assert shown(run, varies) == shown(plain, varies), difference(mode, plain, run, varies)
        if traces:
            assert run.header, f"mode {mode} left no trace"
            assert "stopped" not in run.header, run.header["stopped"]
    return Alike(plain, {mode: runs[mode] for mode in modes})
