"""Runs one program beside other tools that hook imports, with and without importtrace.

    python tools/beside_tools.py                     # all of beside_tools.toml
    python tools/beside_tools.py --only gevent       # one of them
    python tools/beside_tools.py --write             # the table in docs/compatibility.md

Each tool alone is the reference. Then importtrace is added in three orders: by the *environment* (injected,
so before the tool where the tool is started inside the program), by `install()` after the tool, and, where
the tool is a command, by *run* inside it. Output and exit code must be those of the tool alone, and the
trace must hold every load of the program, with outcome, parent and statement. Exit code 1 where not.
"""

import argparse
import difflib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import beside_tools_program as program  # noqa: E402
import page  # noqa: E402
from real_packages_projects import MADE, NotMade, pip  # noqa: E402

ROOT = HERE.parent
LIST = HERE / "beside_tools.toml"
PAGE = ROOT / "docs" / "compatibility.md"
SECTION = "beside-tools"
ORDERS = ("environment", "install()", "run")
MODES = ("auto", "finder")
TIMEOUT_S = 120
REQUIRES = (
    "ddtrace", "newrelic", "sentry-sdk", "logfire", "opentelemetry-distro",
    "opentelemetry-instrumentation-requests", "opentelemetry-instrumentation-sqlite3", "coverage",
    "pytest", "beartype", "typeguard", "viztracer", "debugpy", "gevent", "eventlet", "hatchling",
    "editables", "setuptools<81", "wheel", "requests", "flask",
    "wrapt>=1.16", "structlog>=24.1", "opentelemetry-sdk>=1.27",
)  # fmt: skip
TEST = "import scenario\n\n\ndef test_scenario():\n    assert scenario.shop.name == 'shop'\n"


@dataclass(frozen=True)
class Tool:
    """One row of the list."""

    name: str
    way: str
    tool: str | None
    command: tuple[str, ...] | None
    after: tuple[str, ...] | None
    env: dict[str, str]
    varies: str
    main: str
    make: str | None
    since: tuple[int, ...]
    not_started: dict[str, str]  # by order: why the tool keeps us from being started at all

    @property
    def orders(self) -> tuple[str, ...]:
        runs = self.command is not None and self.command[-2:] == ("{python}", "{main}")
        return ORDERS if runs else ORDERS[:2]


@dataclass
class Ran:
    """What one run printed, and its trace."""

    code: int
    out: str
    err: str
    header: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)


def tools(path: Path = LIST) -> list[Tool]:
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]
    return [
        Tool(
            name=row["name"],
            way=row["way"],
            tool=row.get("tool"),
            command=tuple(row["command"]) if "command" in row else None,
            after=tuple(row["after"]) if "after" in row else None,
            env=row.get("env", {}),
            varies=row.get("varies", r"(?!)"),
            main=row.get("main", "main.py"),
            make=row.get("make"),
            since=tuple(map(int, row.get("since", "3.11").split("."))),
            not_started=row.get("not_started", {}),
        )
        for row in rows
    ]


def environment(base: str) -> Path:
    """The Python of an environment with all the tools, made once and kept under .nox. Raises NotMade."""
    asked = [base, "-c", "import sys; print(sys.implementation.cache_tag)"]
    tag = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    folder = ROOT / ".nox" / f"beside-tools-{tag}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists() or complete.read_text() != repr(REQUIRES):
        subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
        pip(python, *REQUIRES)
        for name in ("setuptools_finder", "hatchling_finder"):
            MADE[name](folder / "made" / name, python)
        complete.write_text(repr(REQUIRES))
    return python


# one run -----------------------------------------------------------------------------------


def run(python: Path, tool: Tool, order: str | None, mode: str, folder: Path) -> Ran:
    """The program beside the tool, in `folder`; order None: without importtrace."""
    from importtrace.inject import SITE

    install = "import importtrace; importtrace.install()" if order == "install()" else "pass"
    program.write(folder, tool.tool or "pass", install)
    if tool.main == "test_main.py":
        (folder / "test_main.py").write_text(TEST)
        (folder / "conftest.py").write_text(f"{install}\n")
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"} | tool.env
    if order is not None:
        env |= {"IMPORTTRACE_MODE": mode, "IMPORTTRACE_LOG": "off", "IMPORTTRACE_SPANS": "off"}
        # a tool's launcher may be a Python itself, and has a file of its own
        env |= {"IMPORTTRACE_FILE": str(folder / "trace-{pid}.jsonl")}
        env["PYTHONPATH"] = str(Path(SITE).parents[2])  # install() needs to find it
    if order == "environment":
        env |= {"PYTHONPATH": SITE, "IMPORTTRACE": "1"}
    words = tool.command or ("{python}", "{main}")
    if order == "run":
        words = (*words[:-1], "-m", "importtrace", "run", words[-1])
    filled = {"python": str(python), "bin": str(python.parent), "main": tool.main,
              "folder": str(folder), "port": str(_free_port())}  # fmt: skip
    ran = _start([word.format(**filled) for word in words], env, folder)
    if tool.after is not None:
        plain = {
            key: value for key, value in env.items() if not key.startswith(("IMPORT", "PYTHONPATH"))
        }
        report = _start([word.format(**filled) for word in tool.after], plain, folder)
        ran.out += report.out
        ran.err += report.err
    for trace in folder.glob("trace-*.jsonl"):
        header, *records = map(json.loads, trace.read_text(encoding="utf-8").splitlines())
        if any(record["module"] == "scenario" for record in records):
            ran.header, ran.records = header, records
    ran.out, ran.err = (
        re.sub(tool.varies, "-", text).replace(str(folder), "FOLDER") for text in (ran.out, ran.err)
    )
    return ran


def _start(command: list[str], env: dict[str, str], folder: Path) -> Ran:
    try:
        done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=TIMEOUT_S)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        said = [text.decode() if isinstance(text, bytes) else text or ""
                for text in (late.stdout, late.stderr)]  # fmt: skip
        return Ran(-1, said[0], f"{said[1]}\nstill running after {TIMEOUT_S} s")
    return Ran(done.returncode, done.stdout, done.stderr)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# checking ----------------------------------------------------------------------------------


def check(
    python: Path, tool: Tool, order: str, mode: str, alone: Ran
) -> tuple[list[str], list[str]]:
    """(what is not as with the tool alone, what the trace lacks)."""
    with tempfile.TemporaryDirectory(prefix="importtrace-beside-") as name:
        ran = run(python, tool, order, mode, Path(name))
    changed = []
    if ran.code != alone.code:
        changed.append(f"exit code {alone.code} became {ran.code}")
    for what in ("out", "err"):
        one, other = getattr(alone, what).splitlines(), getattr(ran, what).splitlines()
        if order == "install()":  # its line in the program is another one
            one, other = (
                [
                    line
                    for line in lines
                    if "importtrace" not in line and line.strip(" >-") != "pass"
                ]
                for lines in (one, other)
            )
        changed += [
            line for line in difflib.unified_diff(one, other, "alone", order, lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@"))
        ]  # fmt: skip
    if not ran.header:
        return changed, ["no trace was written"]
    if "stopped" in ran.header:
        changed.append(f"tracing stopped: {ran.header['stopped']}")
    return changed, program.incomplete(ran.records, main=tool.main, mode=mode)


def reference(python: Path, tool: Tool) -> Ran:
    """The tool alone."""
    with tempfile.TemporaryDirectory(prefix="importtrace-beside-") as name:
        return run(python, tool, None, "auto", Path(name))


def version(python: Path, name: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or "-"


def table(rows: list[tuple[str, ...]], notes: list[str], number: str) -> str:
    lines = [
        f"Python {number}, by `tools/beside_tools.py`. *environment*: injected, so that we are there "
        "before the tool where it starts inside the program; *install()*: after the tool; *run*: "
        "`importtrace run` inside the tool's command. *good* says: output and exit code are those of the "
        "tool alone, and the trace holds every load with its outcome, parent and statement (in mode "
        "`finder`: every load).",
        "",
        "| tool | version | started by | mode | environment | install() | run |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="repeatable")
    parser.add_argument("--mode", action="append", choices=("auto", "probes", "finder"))
    parser.add_argument("--python", default=sys.executable, metavar="EXE", help="default: this one")
    parser.add_argument(
        "--venv", type=os.path.abspath, metavar="DIR", help="use this environment as it is"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    listed = tools()
    unknown = set(options.only or ()) - {tool.name for tool in listed}
    if unknown:
        parser.error(f"{sorted(unknown)[0]!r} is not in {LIST.name}")
    try:
        python = (
            Path(options.venv, "bin", "python") if options.venv else environment(options.python)
        )
    except NotMade as error:
        print(f"the tools cannot be installed: {error}", file=sys.stderr)
        return 2
    asked = [str(python), "-c", "import platform; print(platform.python_version())"]
    number = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    rows, notes, good = [], [], True
    for tool in listed:
        if options.only and tool.name not in options.only:
            continue
        if tuple(map(int, number.split(".")[:2])) < tool.since:
            continue
        alone = reference(python, tool)
        if alone.code and tool.name != "pdb":
            notes.append(f"- {tool.name}, {tool.way}: fails without us, too: {alone.err[-200:]!r}")
        for mode in options.mode or MODES:
            cells = []
            for order in ORDERS:
                if order not in tool.orders:
                    cells.append("-")
                    continue
                changed, lacks = check(python, tool, order, mode, alone)
                if order in tool.not_started and lacks == ["no trace was written"]:
                    cells.append("not started")
                    note = f"- {tool.name}, {tool.way}, {order}: {tool.not_started[order]}"
                    notes += [note] if note not in notes else []
                    continue
                good = good and not changed and not lacks
                said = [
                    word for word, lines in (("differs", changed), ("incomplete", lacks)) if lines
                ]
                cells.append(" and ".join(said) or "good")
                for line in (changed + lacks)[:4]:
                    notes.append(f"- {tool.name}, {tool.way}, {mode}, {order}: {line}")
                print(f"{tool.name}, {tool.way}, {mode}, {order}: {cells[-1]}", flush=True)
                for line in (changed + lacks)[:20]:
                    print(f"    {line}", flush=True)
            rows.append((tool.name, version(python, tool.name), tool.way, mode, *cells))
    text = table(rows, [note.replace("|", "\\|") for note in notes], number)
    if options.write:
        page.write(PAGE, SECTION, text)
    else:
        print(f"\n{text}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
