"""Runs a small program in a fresh interpreter, traced or not, and reads the trace it leaves.

The tracing is installed on the program's first line, so that its own lines start at line 2 with and
without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MODES = ("auto", "probes", "finder")
PROBED = ("auto", "probes")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Run:
    """What a program did, and its trace (empty if it was not traced)."""

    code: int
    out: str
    err: str
    folder: Path
    header: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def ok(self) -> Run:
        """This run; fails with what the program wrote if it did not end well."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self

    @property
    def data(self) -> Any:
        """The program's last line, which it printed as JSON."""
        self.ok()
        return json.loads(self.out.splitlines()[-1])

    def all(self, kind: str, module: str) -> list[dict[str, Any]]:
        return [one for one in self.records if one["kind"] == kind and one["module"] == module]

    def loads(self, module: str) -> list[dict[str, Any]]:
        return self.all("load", module)

    def load(self, module: str) -> dict[str, Any]:
        """The one load of ``module``."""
        found = self.loads(module)
        assert len(found) == 1, f"{len(found)} loads of {module}; loaded: {self.names}\n{self.err}"
        return found[0]

    def request(self, module: str) -> dict[str, Any]:
        """The one request for ``module``."""
        found = self.all("request", module)
        assert len(found) == 1, f"{len(found)} requests for {module}: {found}\n{self.err}"
        return found[0]

    @property
    def names(self) -> list[str]:
        return [one["module"] for one in self.records if one["kind"] == "load"]

    def by_id(self, number: int | None) -> dict[str, Any] | None:
        return next((one for one in self.records if one["id"] == number), None)

    def parent(self, record: dict[str, Any]) -> str | None:
        """The module of the record's parent."""
        found = self.by_id(record.get("parent"))
        return found["module"] if found else None

    def ancestors(self, record: dict[str, Any]) -> list[str]:
        names = []
        found = self.by_id(record.get("parent"))
        while found is not None:
            names.append(found["module"])
            found = self.by_id(found.get("parent"))
        return names


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that traces or changes how Python runs."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("IMPORTTRACE", "OTEL_", "COVERAGE_", "PYTHON"))
    }
    return {**kept, "PYTHONHASHSEED": "0", **extra}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))


def installing(mode: str | None, trace: Path | None = None, **settings: object) -> str:
    """The statement that starts the tracing; one that does nothing for mode None."""
    if mode is None:
        return "session = None"
    settings = {"mode": mode, "log": "off", "spans": "off", **settings}
    if trace is not None:
        settings["file"] = str(trace)
    given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return f"import importtrace; session = importtrace.install({given})"


def python(
    folder: Path, *arguments: str, env: dict[str, str] | None = None, timeout: float = TIMEOUT_S
) -> Run:
    """A fresh interpreter in ``folder``, nothing else."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Run(done.returncode, done.stdout, done.stderr, folder)


def run(
    folder: Path,
    program: str,
    *,
    mode: str | None = "auto",
    files: dict[str, str] | None = None,
    flags: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    timeout: float = TIMEOUT_S,
    **settings: object,
) -> Run:
    """Runs ``program`` as a script in ``folder``, beside ``files``; its trace is that written at exit."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, files or {})
    trace = folder / "trace.jsonl"
    trace.unlink(missing_ok=True)
    text = textwrap.dedent(program).lstrip("\n")
    start = installing(mode, trace, **settings)
    (folder / "program.py").write_text(f"{start}\n{text}")
    env = {"PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    env = {key: value for key, value in env.items() if value}
    done = python(folder, *flags, "program.py", env=env, timeout=timeout)
    header: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    if trace.exists():
        header, *records = map(json.loads, trace.read_text(encoding="utf-8").splitlines())
    return Run(done.code, done.out, done.err, folder, header, records)


def line_of(file: Path, text: str) -> int:
    """The 1-based number of the first line that holds ``text``."""
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if text in line:
            return number
    raise AssertionError(f"{file} has no line with {text!r}")
