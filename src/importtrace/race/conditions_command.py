"""The conditions of ``importtrace reproduce``: its options, and what is done where one was given."""

from __future__ import annotations

import argparse
import json
from typing import Any

from importtrace.race import conditions_report as reports
from importtrace.race.arguments import whole_number
from importtrace.race.conditions import explore_conditions
from importtrace.race.conditions_matrix import STEPS, Condition
from importtrace.race.errors import InputError
from importtrace.race.progress import Progress
from importtrace.race.scenario import SetUp
from importtrace.reports.terminal import colour_wanted

_UNITS = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "conditions", "each alone, then all together: which of them makes the imports fail?"
    )
    group.add_argument("--cold", action="store_true", help="no bytecode is there, none is written")
    group.add_argument(
        "--slow-fs",
        type=_latency,
        metavar="MS[:JITTER]",
        help="each search in a folder and each file read takes so much longer",
    )
    group.add_argument("--cpu", type=whole_number(1, 64), metavar="N", help="only so many CPUs")
    group.add_argument(
        "--memory", type=_size, metavar="SIZE", help="address space: 512M, 2G (MiB without a unit)"
    )
    group.add_argument(
        "--read-only", action="store_true", help="Python code can write no file and no bytecode"
    )
    group.add_argument(
        "--env",
        type=_variable,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a variable of the environment (repeatable)",
    )
    group.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="KEY",
        help="without this variable of the environment (repeatable)",
    )
    group.add_argument(
        "--path-order",
        action="store_true",
        help="sys.path the other way round, but for the library",
    )
    group.add_argument(
        "--hide",
        action="append",
        default=[],
        metavar="MODULE",
        help="as if this module were not installed (repeatable)",
    )
    group.add_argument(
        "--workers",
        type=whole_number(1, 64),
        metavar="N",
        help="so many processes at once: forked, forked after a preload, and started anew",
    )


def _latency(text: str) -> tuple[float, float]:
    ms, _, jitter = text.partition(":")
    try:
        found = float(ms), float(jitter or 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no MS or MS:JITTER") from None
    if not (0 <= found[0] <= 10_000 and 0 <= found[1] <= 10_000 and sum(found) > 0):
        raise argparse.ArgumentTypeError("must be more than 0 and at most 10000 milliseconds")
    return found


def _size(text: str) -> int:
    number, unit = text.upper().removesuffix("B").removesuffix("I"), ""
    if number[-1:] in ("K", "M", "G"):
        number, unit = number[:-1], number[-1]
    try:
        value = int(float(number) * _UNITS[unit])
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; one looks like 512M") from None
    if not 1 << 24 <= value <= 1 << 50:
        raise argparse.ArgumentTypeError("must be at least 16M: an interpreter needs that much")
    return value


def _variable(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not key or not found or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE")
    return key, value


def conditions(given: argparse.Namespace) -> list[Condition]:
    """As the user named them; empty where none was given. Raises InputError for one that is none."""
    found: list[Condition] = []

    def add(name: str, step: str, *arguments: Any) -> None:
        found.append(Condition(name, (SetUp(step, arguments),)))

    if given.cold:
        add("cold", STEPS + "cold")
    if given.slow_fs is not None:
        ms, jitter = given.slow_fs
        name = f"slow-fs={ms:g}" + (f":{jitter:g}" if jitter else "")
        found.append(Condition(name, slow=given.slow_fs))
    if given.cpu is not None:
        add(f"cpu={given.cpu}", STEPS + "cpu", given.cpu)
    if given.memory is not None:
        add(f"memory={_told(given.memory)}", STEPS + "memory", given.memory)
    if given.read_only:
        add("read-only", STEPS + "read_only")
    for key, value in given.env:
        add(f"env {key}={value}", "env", key, value)
    for key in given.without:
        if not key or "=" in key or "\0" in key:
            raise InputError(f"--without {key!r} is no name of a variable; name one, without '='")
        add(f"without {key}", "env", key, None)
    if given.path_order:
        add("path-order", STEPS + "path_order")
    for module in given.hide:
        if not module or any(not part.isidentifier() for part in module.split(".")):
            raise InputError(f"--hide {module!r} is no module name; one looks like pkg or pkg.mod")
        add(f"hide={module}", STEPS + "hide", module)
    if given.workers is not None:
        for how in ("fork", "preload", "spawn"):
            found.append(Condition(f"workers={given.workers} {how}", workers=(given.workers, how)))
    return found


def _told(size: int) -> str:
    return f"{size / (1 << 20):g}M"


def main(given: argparse.Namespace, wanted: list[Condition]) -> int:
    if given.schedule is not None or given.output is not None or len(given.python or ()) > 1:
        raise InputError(
            "conditions cannot be combined with --schedule, -o or a second --python; leave one out"
        )
    progress = Progress(not given.json)
    shown = []
    failed = interrupted = False
    for target in given.target:
        try:
            found = explore_conditions(
                target,
                wanted,
                entries=given.entry,
                path=given.path,
                python=given.python[0] if given.python else None,
                threads=given.threads,
                time_limit_s=given.time_limit,
                run_limit_s=given.run_limit,
                seed=given.seed,
                options={
                    "lines": given.lines,
                    "bound": given.switches,
                    "strategy": given.strategy,
                    "keep_going": given.all,
                },
                progress=progress,
            )
        finally:
            progress.clear()
        shown.append(reports.data(found))
        failed = failed or found.failed
        interrupted = interrupted or found.interrupted
        if not given.json:
            print(reports.text(found, colour=colour_wanted()), end="", flush=True)
        if interrupted:
            break
    if given.json:
        print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2, default=str))
    return 130 if interrupted else int(failed)
