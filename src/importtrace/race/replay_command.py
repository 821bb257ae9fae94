"""``importtrace replay``: exit code 1 where the failure was reproduced, 0 where not, 2 for bad input."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from importtrace import spool, tracefile
from importtrace.errors import TraceFileError
from importtrace.race import replay_report as reports
from importtrace.race.arguments import seconds, whole_number
from importtrace.race.errors import InputError
from importtrace.race.progress import Progress
from importtrace.race.replay import RUN_LIMIT_S, TIMES, replay
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Scenario
from importtrace.race.schedule import Schedule
from importtrace.race.shrink import alike
from importtrace.reports.terminal import colour_wanted

if TYPE_CHECKING:
    import argparse

    from importtrace.records import Trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Forces the order of imports that a trace holds, or that a schedule names, in fresh processes, "
        "and says whether the recorded failure comes again. The imported code is executed."
    )
    parser.add_argument(
        "what",
        metavar="TRACE|SCHEDULE",
        help="a trace file, a spool file, a schedule file or the line of a schedule",
    )
    parser.add_argument(
        "--times", type=whole_number(1, 10_000), default=TIMES, metavar="N", help="default 20"
    )
    parser.add_argument(
        "--path", action="append", default=[], metavar="DIR", help="look for modules here first"
    )
    parser.add_argument("--python", metavar="EXE", help="replay on this interpreter")
    parser.add_argument(
        "--run-limit",
        type=seconds,
        default=RUN_LIMIT_S,
        metavar="S",
        help=f"a run that takes longer hangs (default {RUN_LIMIT_S:g})",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object on stdout")


def main(given: argparse.Namespace) -> int:
    for folder in given.path:
        if not os.path.isdir(folder):
            raise InputError(f"--path {folder!r} is no folder; name one that modules are in")
    found = _read(given.what)
    if isinstance(found, Schedule):
        return _schedule(given, found)
    progress = Progress(not given.json)
    try:
        done = replay(
            found,
            path=given.path,
            python=given.python,
            times=given.times,
            run_limit_s=given.run_limit,
            progress=progress,
        )
    finally:
        progress.clear()
    if given.json:
        print(json.dumps(reports.data(done, given.what), indent=2, default=str))
    else:
        print(reports.text(done, given.what, colour=colour_wanted()), end="")
    return 130 if done.interrupted else int(done.failed)


def _read(what: str) -> Trace | Schedule:
    if not os.path.exists(what):
        if what.lstrip().startswith(("v1:", "v1+")):
            return Schedule.parse(what)
        raise InputError(
            f"no file {what!r}, and it is no schedule either; name a trace that 'importtrace run -o "
            "FILE' or a spool wrote, or a line that 'importtrace reproduce' printed"
        )
    if os.path.isdir(what):
        raise InputError(f"{what!r} is a folder; name one trace in it")
    try:
        with open(what, "rb") as file:
            head = file.read(1 << 20)
    except OSError as error:
        raise InputError(f"cannot read {what!r}: {error.strerror or error}") from error
    if not spool.is_spool(head[:32]) and not head.lstrip().startswith(b"{"):
        text = head.decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines()]
        if any(line.startswith(("v1:", "v1+")) for line in lines):
            return Schedule.parse(text)
        if head.strip():
            raise TraceFileError(
                f"{what!r} is neither a trace nor a schedule; make a trace with 'importtrace run -o "
                "FILE …'"
            )
    return tracefile.read(what)


def _schedule(given: argparse.Namespace, schedule: Schedule) -> int:
    scenario = Scenario(
        schedule.entries,
        path=tuple(given.path),
        lines=schedule.lines,
        run_limit_s=given.run_limit,
    )
    progress = Progress(not given.json)
    with Runner(given.python) as runner:
        version = runner.version
        for entry in schedule.entries:
            runner.modules(entry.module.partition(".")[0], scenario)
        first = runner.run(scenario, schedule, explain=True)
        times = count = 0
        interrupted = False
        try:
            jobs = (Job(scenario, schedule) for _ in range(given.times))
            for count, (_, result) in enumerate(runner.run_many(jobs), start=1):
                if first.ok and not result.ok:
                    first = result
                times += not result.ok and alike(result, first)
                progress("replay", count, given.times)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            progress.clear()
    if given.json:
        found = reports.schedule_data(schedule, version, first, times, count)
        print(json.dumps(found, indent=2, default=str))
    else:
        text = reports.schedule_text(schedule, version, first, times, count, colour=colour_wanted())
        print(text, end="")
        if interrupted:
            print(f"Stopped after {count} of {given.times} runs.")
    return 130 if interrupted else int(times > 0)
