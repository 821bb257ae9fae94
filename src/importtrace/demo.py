"""``importtrace demo``: a start-up that fails in three threads, for somebody new to import locks.

Runs examples/warmup_race in fresh processes: as its operator sees it, then traced, then mended. All
that is said about this run is read from its output and its trace; only the lesson is written here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from importtrace import tracefile
from importtrace.errors import ImportTraceError
from importtrace.reports import timeline
from importtrace.reports.terminal import BOLD, RED, WIDTH, Paint, colour_wanted, plain

if TYPE_CHECKING:
    import argparse

    from importtrace.records import ImportRecord, Trace

TIMEOUT_S = 60
PACKAGE = "exceptions"

THE_SERVICE = """\
A small service loads what it needs on three threads before it is ready:

    warm-up-1   import exceptions
    warm-up-2   import exceptions.exceptions_agent
    warm-up-3   from exceptions import ServiceError

Its package `exceptions` consists of three files:

    __init__.py             from .exceptions_service import ServiceError, ...
    exceptions_service.py   class ServiceError ...
                            from .exceptions_agent import AgentError
    exceptions_agent.py     from .exceptions_service import ServiceError
                            class AgentError(ServiceError) ...

The last two import each other. In one thread that works, whatever is imported
first: ServiceError exists before exceptions_agent asks for it.
"""

THE_LOCKS = """\
Python holds a lock on a module while it runs the module's file, so that no
other thread sees it half-built: whoever wants it waits. Where two threads would
wait for each other for ever, Python has to end the wait of one of them.
"""

THE_RACE = """\
Read it from the top. While warm-up-1 is inside exceptions_service, warm-up-2
begins exceptions_agent and has to wait for exceptions_service. Then warm-up-1
needs exceptions_agent: each now waits for the other. Python gives warm-up-1 the
module as it is, without AgentError, which is further down: an ImportError. That
undoes `exceptions`, too. warm-up-2 can go on at last, and looks for the package
it belongs to, which is gone: a KeyError. warm-up-3 had waited for `exceptions`
and is left with what there was of it: another ImportError. That the package can
be loaded again, and now as a whole, comes too late for all three.
"""

THE_DEADLOCK = """\
This Python does not hand out a half-built module here. warm-up-2 holds the lock
of exceptions_agent and waits for the package; warm-up-1 holds the package and
comes to need exceptions_agent. Neither can go on, so Python ends the wait of
one of them with _DeadlockError. The others are then served.
"""

NO_FAILURE = """\
On this Python all three threads are served. It takes the lock of the package
before that of the module in it, so warm-up-2 waits before it holds anything
that warm-up-1 could need, and there is nothing to break. Older releases fail:
3.11.7, 3.12.1 and 3.13.0 with three different errors, 3.13.18 and 3.14.10 with
_DeadlockError.
"""

THE_REMEDY = """\
 - Import the package once, in the main thread, before the threads start. Who
   asks for a finished module waits for nobody. This mends it on every Python.
 - Break the circle: move ServiceError into a module that imports nothing, here
   exceptions/base.py, and import it from there in both. Then no thread can meet
   a half-built module; but newer releases may still find a deadlock: do both.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def main(given: argparse.Namespace | None = None) -> int:
    """Print the story; 0 if the processes ran as they should. Raises ImportTraceError."""
    colour = colour_wanted()
    paint = Paint(colour)
    example = find_example()
    with tempfile.TemporaryDirectory(prefix="importtrace-demo-") as folder:
        seen = _run(example, [])
        _, broken = _traced(example, [], os.path.join(folder, "broken.jsonl"))
        done, mended = _traced(example, ["--mended"], os.path.join(folder, "mended.jsonl"))
    python = ".".join(map(str, sys.version_info[:3]))

    _title(paint, "1. The service")
    print(THE_SERVICE)
    _title(paint, f"2. What its log says, on Python {python}")
    print(_log(seen, example, paint))
    _title(paint, "3. What happened, from the trace of importtrace")
    print(THE_LOCKS)
    print(timeline.report(_package(broken), shorten=f"{PACKAGE}.", colour=colour))
    failures = [record for record in broken.failures if record.handled is not True]
    print(_lesson(failures))
    if failures:
        _title(paint, "4. What importtrace says about it")
        print(_explained(failures, example, paint))
        _title(paint, "5. What to change")
        print(THE_REMEDY)
        _title(paint, "6. The same service with both changes")
    else:
        _title(paint, "4. The same service, made safe for older releases")
    print(_log(done, example, paint))
    print(_counts(mended))
    _title(paint, "Your own program")
    print("    importtrace run -o trace.jsonl your_program.py")
    print("    importtrace explain trace.jsonl")
    print("    importtrace report trace.jsonl")
    return 0


def _title(paint: Paint, text: str) -> None:
    print(paint(text, BOLD), end="\n\n")


def find_example() -> Path:
    """The example's directory: in the wheel beside this file, in a checkout under examples/."""
    here = Path(__file__).resolve()
    places = (here.parent / "_examples", here.parents[2] / "examples")
    for place in places:
        if (place / "warmup_race" / "service.py").is_file():
            return place / "warmup_race"
    raise ImportTraceError(
        f"the demo's example is missing: no {places[0]}; install importtrace again"
    )


def _run(example: Path, options: list[str], *before: str) -> subprocess.CompletedProcess[str]:
    # What the caller has set for their own programs is not for this one.
    env = {key: value for key, value in os.environ.items() if not key.startswith("IMPORTTRACE")}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # the example may lie in a directory that is not ours
    env["PYTHONIOENCODING"] = "utf-8"
    try:
        return subprocess.run(
            [sys.executable, *before, os.fspath(example / "service.py"), *options],
            env=env,
            # -m looks for runpy's own modules in the current folder, which may have a types.py
            cwd=example,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImportTraceError(f"the demo's service did not run: {error}; try again") from error


def _traced(
    example: Path, options: list[str], path: str
) -> tuple[subprocess.CompletedProcess[str], Trace]:
    run = ("-m", "importtrace", "run", "--log", "off", "--spans", "off", "-o", path)
    done = _run(example, options, *run)
    if not os.path.exists(path):
        said = done.stderr.strip().splitlines()
        raise ImportTraceError(
            f"the traced service wrote no trace ({said[-1] if said else 'it said nothing'}); "
            "importtrace must be importable by a new interpreter"
        )
    return done, tracefile.read(path)


def _package(trace: Trace) -> list[ImportRecord]:
    return [record for record in trace.records if record.module.partition(".")[0] == PACKAGE]


def _log(done: subprocess.CompletedProcess[str], example: Path, paint: Paint) -> str:
    """The service's own output, of tracebacks only the frames in the example and in importlib."""
    out = []
    shown = True
    for line in done.stderr.splitlines():
        if line.startswith('  File "'):
            ours = os.fspath(example) in line and ", in warm_up" not in line
            shown = ours or "<frozen importlib" in line
        elif not line.startswith("  "):
            shown = True
        if shown and line.strip("~^ "):
            error = re.match(r"[\w.]+(Error|Exception)\b", line) is not None
            out += [paint(part, RED) if error else part for part in _fold(_short(line, example))]
    out += done.stdout.splitlines()
    return textwrap.indent("\n".join(out), "    ") + "\n"


def _lesson(failures: list[ImportRecord]) -> str:
    kinds = {(record.cause or {}).get("kind") for record in failures}
    if "thread_race" in kinds:
        return THE_RACE
    if "lock_order" in kinds:
        return THE_DEADLOCK
    return "" if failures else NO_FAILURE


def _explained(failures: list[ImportRecord], example: Path, paint: Paint) -> str:
    """The first cause whole, of the others what is new, and whether they have one root."""
    from importtrace.analysis import render

    lines = []
    for number, record in enumerate(failures):
        cause = record.cause or {}
        lines.append(paint(f"    {record.thread.name}", BOLD))
        text = render.text(cause) if number == 0 else f"[{cause['kind']}] {cause['summary']}"
        for line in text.splitlines():
            lines += [f"    {part}" for part in _fold(plain(_short(line, example)))]
        lines.append("")
    roots = {_root(record.cause or {}) for record in failures}
    if len(failures) > 1 and len(roots) == 1 and None not in roots:
        [root] = roots
        lines.append(f"All {len(failures)} errors have one root: {_short(str(root), example)}")
        lines.append("")
    return "\n".join(lines)


def _root(cause: dict[str, Any]) -> str | None:
    root = cause.get("root") or {}
    return f"{root['file']}, line {root['line']}" if "file" in root and "line" in root else None


def _counts(trace: Trace) -> str:
    records = _package(trace)
    loads = sum(record.kind == "load" for record in records)
    failed = sum(record.handled is not True for record in trace.failures)
    partial = sum(record.outcome == "partial" for record in records)
    return (
        f"    from its trace: {loads} modules of `{PACKAGE}` loaded, {failed or 'none'} failed, "
        f"{partial or 'none'}\n    was met half-built\n"
    )


def _short(text: str, example: Path) -> str:
    """Paths relative to the example, and nothing that a reader of the story has to skip."""
    prefix = re.escape(os.fspath(example) + os.sep)
    return re.sub(rf"{prefix}(?:(?:as_found|without_cycle)[/\\])?", "", text)


def _fold(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        WIDTH - 4,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )
