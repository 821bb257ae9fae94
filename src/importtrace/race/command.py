"""``importtrace reproduce``: exit code 1 where a failure was found, 0 where none, 2 for bad input."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from importtrace.race import conditions_command, report_json
from importtrace.race import report as reports
from importtrace.race.arguments import seconds, whole_number
from importtrace.race.elsewhere import compare
from importtrace.race.errors import InputError
from importtrace.race.findings import BOUND, Report
from importtrace.race.progress import Progress
from importtrace.race.proof import prove
from importtrace.race.runner import Runner
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule
from importtrace.race.search import SEARCH_S, explore, known_modules
from importtrace.reports.terminal import colour_wanted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

COMPARE_LIMIT_S = 5.0
STRATEGIES = ("auto", "orders", "directed", "exhaustive", "random")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Imports every module of TARGET first in a fresh interpreter, then runs imports on threads "
        "under a controlled scheduler, and proves what fails. The code of TARGET is executed."
    )
    parser.add_argument("target", nargs="*", metavar="TARGET", help="a package or module")
    parser.add_argument(
        "--entry",
        action="append",
        default=[],
        metavar="MODULE",
        help="what a thread imports (repeatable); MODULE:NAME is 'from MODULE import NAME'",
    )
    parser.add_argument(
        "--threads", type=whole_number(1, 8), default=2, metavar="N", help="at once (default 2)"
    )
    parser.add_argument(
        "--python",
        metavar="EXE",
        action="append",
        help="search on this interpreter, a file or as 3.13; given again, try there what was found",
    )
    parser.add_argument(
        "--path", action="append", default=[], metavar="DIR", help="look for modules here first"
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="S",
        help=f"for all of it, proofs too; without, orders are not limited and threads get {SEARCH_S:g} s",
    )
    parser.add_argument(
        "--run-limit", type=seconds, metavar="S", help="a run that takes longer hangs (default 10)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the random schedules")
    parser.add_argument(
        "--switches",
        type=whole_number(0, 6),
        default=BOUND,
        metavar="N",
        help=f"run all schedules with up to so many switches (default {BOUND})",
    )
    parser.add_argument(
        "--lines", action="store_true", help="switch at every line of a body, not only at imports"
    )
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default="auto", help="run only this part of the search"
    )
    parser.add_argument("--all", action="store_true", help="go on after the first failure")
    parser.add_argument(
        "--schedule",
        metavar="TEXT",
        help="run this schedule (its line, or a file), and nothing else",
    )
    parser.add_argument(
        "-o", dest="output", metavar="DIR", help="write a schedule file and a pytest test there"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object on stdout")
    conditions_command.add_arguments(parser)


def main(given: argparse.Namespace) -> int:
    given.until = None if given.time_limit is None else time.monotonic() + given.time_limit
    pythons = given.python or [None]
    for folder in given.path:
        if not os.path.isdir(folder):
            raise InputError(f"--path {folder!r} is no folder; name one that modules are in")
    if given.output is not None:
        from importtrace.race import testfile

        testfile.check(given.output)
    wanted = conditions_command.conditions(given)
    if given.schedule is not None and not wanted:
        return _schedule(given, pythons)
    if not given.target:
        raise InputError("name a package to import, or a --schedule to run")
    if wanted:
        return conditions_command.main(given, wanted)
    found: list[Report] = []
    for target in given.target:
        report = _explore(given, target, pythons)
        found.append(report)
        if report.interrupted:
            break
    if given.json:
        shown = [report_json.data(report) for report in found]
        print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2, default=str))
    if any(report.interrupted for report in found):
        return 130
    return int(any(report.failed for report in found))


def _explore(given: argparse.Namespace, target: str, pythons: list[str | None]) -> Report:
    """On the first interpreter; what is found there is then tried on the others."""
    progress = Progress(not given.json)
    try:
        report = explore(
            target,
            entries=given.entry,
            threads=given.threads,
            path=given.path,
            python=pythons[0],
            time_limit_s=_left(given),
            run_limit_s=given.run_limit,
            seed=given.seed,
            lines=given.lines,
            bound=given.switches,
            strategy=given.strategy,
            keep_going=given.all,
            progress=progress,
        )
        if not report.interrupted:
            try:
                _elsewhere(given, report, pythons[1:], progress)
            except KeyboardInterrupt:
                report.interrupted = True
    finally:
        progress.clear()
    written: dict[int, tuple[str, str]] = {}
    unwritten = None
    if given.output is not None and report.proofs:
        from importtrace.race import testfile

        try:
            written = testfile.write(given.output, report.proofs, report.python, tuple(given.path))
        except InputError as error:
            unwritten = error  # what was found is told all the same
    if not given.json:
        print(reports.text(report, colour=colour_wanted(), written=written), end="", flush=True)
    if unwritten is not None:
        raise unwritten
    return report


def _elsewhere(
    given: argparse.Namespace, report: Report, pythons: Sequence[str | None], progress: Progress
) -> None:
    """What was proven, on the other interpreters."""
    for python in pythons:
        for number, proof in enumerate(report.proofs, start=1):
            progress("other interpreters", number, len(report.proofs))
            limit = given.run_limit or COMPARE_LIMIT_S
            there = compare(proof, str(python), tuple(given.path), limit, _left(given))
            if there is None:
                report.note(f"race {number} not tried on {python}: the time was over")
                continue
            report.elsewhere.setdefault(number, []).append(there)


def _left(given: argparse.Namespace) -> float | None:
    """Of --time-limit; never nothing, so that what is cut is told."""
    return None if given.until is None else max(0.05, given.until - time.monotonic())


def _schedule(given: argparse.Namespace, pythons: list[str | None]) -> int:
    """One schedule, replayed; on several interpreters one line each, so that an upgrade can be judged."""
    schedule = Schedule.parse(_read(given.schedule))
    scenario = Scenario(
        schedule.entries,
        path=tuple(given.path),
        lines=schedule.lines,
        run_limit_s=given.run_limit or given.time_limit or 10.0,
    )
    failed = interrupted = False
    rows = []
    for python in pythons:
        with Runner(python) as runner:
            version = runner.version
            for entry in schedule.entries:
                known_modules(runner, entry, scenario)
            result = runner.run(scenario, schedule, steps=True)
            runner.until = given.until
            wrong = not (result.ok or result.slow)
            proof = prove(runner, scenario, result) if wrong else None
        failed = failed or proof is not None
        interrupted = proof is not None and proof.interrupted
        row = Report(str(schedule), python=version, strict=True, path=tuple(given.path))
        row.executable = python
        row.schedules_run = runner.runs
        row.seconds = result.seconds
        row.proofs = [proof] if proof is not None else []
        rows.append((row, result))
        if interrupted:
            break
    if given.json:
        shown = [report_json.data(row) | {"followed": result.followed} for row, result in rows]
        print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2, default=str))
    else:
        for row, result in rows:
            print("\n".join(reports.one_schedule(row, result, colour=colour_wanted())))
    return 130 if interrupted else int(failed)


def _read(text: str) -> str:
    if os.path.isfile(text):
        try:
            with open(text, encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the schedule file {text!r}: {error}") from error
    return text
