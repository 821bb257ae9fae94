"""Measured child processes: a clean environment, warm bytecode, one number each.

Nothing of the caller's environment that changes how Python starts reaches a measured process, least
of all PYTHONDONTWRITEBYTECODE, under which every run would compile what it imports.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.results import MeasuresNothing, Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

# records, and delivers nothing
INSTALL = "import importtrace\nimporttrace.install(log='off', spans='off')\n"
LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the same program."""

    name: str
    prelude: str = ""
    options: tuple[str, ...] = ()


PLAIN = Variant("plain")
TRACED = Variant("traced", INSTALL)
IMPORTTIME = Variant("-X importtime", options=("-X", "importtime"))


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what steers Python, importtrace or OpenTelemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "IMPORTTRACE", "OTEL_"))
    }
    return {**kept, **extra}


def command(program: str, variant: Variant) -> list[str]:
    return [sys.executable, *variant.options, "-c", variant.prelude + program]


def output(program: str, variant: Variant = PLAIN, env: dict[str, str] | None = None) -> str:
    """What the program prints; ``env`` is a whole environment, without it ``environment()``."""
    done = subprocess.run(
        command(program, variant),
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode:
        raise MeasuresNothing(f"a measured program failed:\n{done.stderr[-2000:]}")
    return done.stdout


def instructions(program: str, variant: Variant = PLAIN, seed: int = 0) -> int:
    """Instructions of the whole process, counted by callgrind, bytecode cached by a run before.

    The count is nearly the same each time: hash seed fixed, no clock and no other process in it.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise Missing("instructions: needs valgrind (Debian and Ubuntu: apt-get install valgrind)")
    env = environment(PYTHONHASHSEED=str(seed))
    output(program, variant, env)
    with tempfile.TemporaryDirectory() as folder:
        counts = os.path.join(folder, "callgrind")
        done = subprocess.run(
            [
                *(valgrind, "--tool=callgrind", f"--callgrind-out-file={counts}"),
                *command(program, variant),
            ],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        with open(counts, encoding="utf-8", errors="replace") as lines:
            totals = re.search(r"^(?:totals|summary): (\d+)", lines.read(), re.MULTILINE)
    if done.returncode or totals is None:
        raise MeasuresNothing(f"callgrind failed:\n{done.stderr[-2000:]}")
    return int(totals.group(1))


def times_ms(argv: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """CPU time and wall time of one process, in milliseconds."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not hasattr(os, "wait4"):
        raise Missing("process times: needs a system with wait4 (Linux, macOS)")
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise MeasuresNothing(f"a measured program ended with status {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3
