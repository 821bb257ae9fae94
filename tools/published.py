"""Runs `importtrace reproduce` on published packages: known failures, and packages that must not be blamed.

    python tools/published.py                    # all of published.toml; writes docs/reproduced.md
    python tools/published.py --only anyio click # some of them; replaces their parts of the page
    python tools/published.py --cache DIR        # keep the virtual environments there (default .nox/published)
    python tools/published.py --interpreter 3.13.18=/usr/bin/python3.13

Needs pip and a package index, and the interpreters that published.toml names: those of noxfile.py, and others
as `--interpreter` says; a case whose interpreter was not given is left as it stands on the page. Exit code 1
where a known failure was not found or is explained by something else, or a well-behaved package was blamed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

import dev  # noqa: E402  the list of interpreters has one home

TABLE = Path(__file__).with_suffix(".toml")
PAGE = HERE / "docs" / "reproduced.md"
GATES = HERE / "tools" / "published_toolz.py"
WELL_BEHAVED_PYTHON = "3.12"
WELL_BEHAVED_S = 25
KNOWN_S = 60
RUN_S = 30  # the largest of them take seconds to import, more on a busy machine

HEAD = """\
# Reproduced: published packages

`importtrace reproduce` was given the names below and nothing else. The page is written by
`python tools/published.py`, which installs each package in a virtual environment of its own;
`tools/published.toml` is the table it works from.

## Known failures

Each was reported in a public tracker by people whom it had hit by chance. *Replayed* says how often the
schedule that was found failed in the same way; each failure was also confirmed in an interpreter that was
not forked. What fails in one thread needs no schedule. Which of two threads gets a `_DeadlockError` is
decided by who asks last; the two locks are the same, and both ways are tried.
"""
FOUND_HERE = """\
## Found here, not reported before

As far as the public trackers tell. Found while looking for packages that are *not* to be blamed.
"""


@dataclass
class Run:
    """One call of the command: what it printed as JSON, and how long it took."""

    version: str
    data: dict[str, Any]
    seconds: float


def environment(cache: Path, name: str, python: str, needs: list[str]) -> Path:
    """The interpreter of a virtual environment that holds ``needs``; made once."""
    executable = dev.interpreters().get(python)
    if executable is None:
        raise SystemExit(f"published.py: Python {python} is not installed here; {name} needs it")
    if not needs:
        return Path(executable)
    folder = cache / f"{name}-{python}"
    found = folder / "bin" / "python"
    if _missing(folder, needs):
        subprocess.run([executable, "-m", "venv", "--clear", folder], check=True)
        _install([str(found), "-m", "pip"], [], needs, folder)
    return found


def modules(cache: Path, name: str, python: str, needs: list[str]) -> Path:
    """A folder with the modules of ``needs``, for an interpreter that has no pip; made once."""
    folder = cache / f"{name}-{python}"
    if _missing(folder, needs):
        version = python.rpartition(".")[0]
        where = ["--target", str(folder), "--python-version", version, "--only-binary=:all:"]
        _install([sys.executable, "-m", "pip"], where, needs, folder)
    return folder


def _missing(folder: Path, needs: list[str]) -> bool:
    done = folder / "installed"
    return not done.exists() or done.read_text() != "\n".join(needs)


def _install(pip: list[str], where: list[str], needs: list[str], folder: Path) -> None:
    quiet = ["install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *quiet, *where, *needs], check=True)
    (folder / "installed").write_text("\n".join(needs))


def reproduce(
    python: Path,
    target: str,
    entries: list[str],
    threads: int,
    limit: float,
    path: Path | None = None,
) -> Run:
    command = [sys.executable, "-m", "importtrace", "reproduce", target, "--json", "--seed", "1"]
    command += ["--python", str(python), "--threads", str(threads), "--time-limit", str(limit)]
    command += ["--run-limit", str(RUN_S)]
    for entry in entries:
        command += ["--entry", entry]
    if path is not None:
        command += ["--path", str(path)]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"published.py: {' '.join(command)}\n{done.stderr}")
    data = json.loads(done.stdout)
    assert data["failed"] == (done.returncode == 1)
    return Run(data["python"], data, time.monotonic() - begin)


def found(run: Run, entries: list[str], error: str) -> dict[str, Any] | None:
    """The failure that has `error`, else the first one: a proven interleaving, or an order of the entries.

    Of two threads in a ring of locks, one or the other gets the error; the command reports both.
    """
    races = [dict(one) for one in run.data["interleavings"]]
    both = [one | way for one in races for way in ({}, one.get("also") or {})]
    for one in both:
        if error in (one["message"] or ""):
            return one
    for one in races:
        return one
    for row in run.data["orders"]:
        if row["judged"] in ("order", "cycle", "hang", "always") and row["entries"] == entries:
            return dict(row)
    return None


def clean(text: str) -> str:
    """Without this machine's paths and this run's addresses."""
    text = re.sub(r"/\S*?/(?:site-packages|lib/python3\.\d+)/", "", text)
    return re.sub(r" at \d{6,}", "", text)


def judge(case: dict[str, Any], run: Run) -> tuple[list[str], str]:
    """(what is wrong, the section of the page)."""
    failure = found(run, case["entries"], case["error"])
    needs = ", ".join(case["needs"]) or "the standard library"
    names = "".join(f" --entry {entry}" for entry in case["entries"])
    lines = [
        f"### {case['name']}",
        "",
        f"{needs}, Python {run.version}, in {run.seconds:.0f} s:",
        f"`importtrace reproduce {case['target']}{names}`",
        "",
    ]
    if "report" in case:
        lines += [f"- Reported: <{case['report']}>", f"- Explained there: {case['says']}."]
    else:
        lines += [f"- What goes wrong: {case['says']}."]
    if failure is None:
        return [f"{case['name']}: nothing found"], "\n".join([*lines, "- **Not found.**", ""])
    message = clean(failure.get("message") or "")
    cause = failure.get("cause") or {}
    summary = clean(cause.get("summary") or "")
    explained = json.dumps(failure)
    wrong = []
    if case["error"] not in message:
        wrong.append(f"{case['name']}: found {message!r}, not {case['error']!r}")
    wrong += [
        f"{case['name']}: the explanation does not name {part}"
        for part in case["where"]
        if part not in explained
    ]
    lines.append(f"- Found: {failure['outcome']}, `{message}`")
    if summary:
        lines.append(f"- Explained here: [{cause['kind']}] {summary}")
    if failure.get("stack"):
        places = [f"`{module}` line {line}" for _, line, module in failure["stack"][1:]]
        lines.append(f"- It came there by: {', '.join(places[-6:])}")
    if failure.get("works_after"):
        lines.append(f"- Works after: `import {failure['works_after'][0]}`")
    if "schedule" in failure:
        lines.append(f"- Replayed {failure['replayed']}: `{failure['schedule']}`")
        if not _certain(failure["replayed"]):
            wrong.append(f"{case['name']}: not certain: {failure['replayed']}")
    if failure.get("confirmed") is not True:
        wrong.append(f"{case['name']}: not in an interpreter that was not forked")
    return wrong, "\n".join([*lines, ""])


def _certain(replayed: str) -> bool:
    done, _, of = replayed.partition("/")
    return done == of


def well_behaved(case: dict[str, Any], run: Run) -> tuple[list[str], str]:
    blamed = run.data["failed"]
    coverage = clean(run.data["coverage"])
    own = sum(one["by_interpreter"] for one in run.data["interleavings"])
    note = f"; {own} deadlock{'s' if own != 1 else ''} of Python's own lock order" if own else ""
    answer = "**yes**" if blamed else f"no{note}"
    wrong = [f"{case['target']}: blamed"] if blamed else []
    return wrong, f"| {case['needs']} | {answer} | {coverage} |"


def run_case(case: dict[str, Any], cache: Path, more: dict[str, str]) -> Run:
    python, path = case["python"], None
    if python in more:
        executable = Path(more[python])
        path = modules(cache, case["name"], python, case["needs"])
    else:
        executable = environment(cache, case["name"], python, case["needs"])
    limit = case.get("time_limit", KNOWN_S)
    return reproduce(
        executable, case["target"], case["entries"], case.get("threads", 2), limit, path
    )


def without_importtrace(case: dict[str, Any], cache: Path) -> tuple[list[str], str]:
    """What the program with gates says, in the environment of the case."""
    python = environment(cache, case["name"], case["python"], case["needs"])
    done = subprocess.run([python, GATES], capture_output=True, text=True)
    said = done.stdout.strip().splitlines()[-1:]
    line = f"- In a program without importtrace, with two gates (`tools/{GATES.name}`): `{''.join(said)}`"
    wrong = [] if done.returncode == 1 and case["error"] in line else [f"{case['name']}: {said}"]
    return wrong, line + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="a package of published.toml")
    parser.add_argument("--cache", type=Path, default=HERE / ".nox" / "published", metavar="DIR")
    parser.add_argument("--interpreter", action="append", default=[], metavar="VERSION=EXE")
    given = parser.parse_args()
    more = dict(text.split("=", 1) for text in given.interpreter)
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    cases = table["known"] + table["found_here"]
    names = {case["name"] for case in cases}
    names |= {case["target"] for case in table["well_behaved"]}
    unknown = set(given.only or ()) - names
    if unknown:
        parser.error(f"not in {TABLE.name}: {', '.join(sorted(unknown))}")
    wrong: list[str] = []
    made: list[str] = []
    table_rows: list[str] = []
    for case in cases:
        if given.only and case["name"] not in given.only:
            continue
        if case["python"] not in more and case["python"].count(".") == 2:
            print(f"{case['name']}: left as it is, for want of --interpreter {case['python']}=EXE")
            continue
        bad, section = judge(case, run_case(case, given.cache, more))
        wrong += bad
        if "report" not in case:
            bad, line = without_importtrace(case, given.cache)
            wrong += bad
            section += line
        print(section, flush=True)
        made.append(section)
    for case in table["well_behaved"]:
        if given.only and case["target"] not in given.only:
            continue
        python = environment(given.cache, case["target"], WELL_BEHAVED_PYTHON, [case["needs"]])
        run = reproduce(python, case["target"], [], 2, WELL_BEHAVED_S)
        bad, row = well_behaved(case, run)
        wrong += bad
        print(row, flush=True)
        table_rows.append(row)
    page = PAGE.read_text(encoding="utf-8")  # now, for another run may have written to it
    for section in made:
        page = with_section(page, section)
    for row in table_rows:
        page = with_row(page, row)
    PAGE.write_text(assembled(page, table), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(HERE)}")
    for line in wrong:
        print(f"published.py: {line}", file=sys.stderr)
    return 1 if wrong else 0


def sections(page: str) -> dict[str, str]:
    """The parts of the page that begin with ###, by their heading."""
    parts = re.split(r"^(?=##)", page, flags=re.MULTILINE)
    return {part.splitlines()[0][4:]: part for part in parts if part.startswith("### ")}


def with_section(page: str, section: str) -> str:
    head = section.splitlines()[0]
    old = sections(page).get(head[4:])
    return page.replace(old, f"{section}\n") if old is not None else f"{page}\n{section}\n"


def rows(page: str) -> dict[str, str]:
    """The rows of the table of well-behaved packages, by what is installed."""
    return {line.split(" | ")[0][2:]: line for line in page.splitlines() if line.startswith("| ")}


def with_row(page: str, row: str) -> str:
    old = rows(page).get(row.split(" | ")[0][2:])
    return page.replace(old, row) if old is not None else f"{page}\n{row}\n"


def assembled(page: str, table: dict[str, Any]) -> str:
    """The page anew, in the order of the table, from the parts that it has by now."""
    there, table_rows = sections(page), rows(page)

    def chosen(cases: list[dict[str, Any]]) -> list[str]:
        return [there[case["name"]].rstrip() + "\n" for case in cases if case["name"] in there]

    return "\n".join(
        [
            HEAD,
            *chosen(table["known"]),
            FOUND_HERE,
            *chosen(table["found_here"]),
            "## Well-behaved packages",
            "",
            f"Every module first, then pairs of modules on two threads, {WELL_BEHAVED_S} s each, Python "
            f"{WELL_BEHAVED_PYTHON}. A deadlock that",
            "only CPython's own order of locks makes is told, and is no blame "
            "(see [reproduce](reproduce.md)).",
            "",
            "| package | blamed | covered |",
            "| --- | --- | --- |",
            *(
                table_rows[case["needs"]]
                for case in table["well_behaved"]
                if case["needs"] in table_rows
            ),
            "",
            "## Tried, not reproduced",
            "",
            *(f"- {one['name']}, <{one['report']}>: {one['why']}." for one in table["tried"]),
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
