"""Runs `importtrace reproduce` on published packages: known failures, and packages that must not be blamed.

    python tools/published.py                    # all of published.toml; writes docs/reproduced.md
    python tools/published.py --only anyio click # some of them; replaces their parts of the page
    python tools/published.py --cache DIR        # keep the virtual environments there (default .nox/published)

Needs pip and a package index, and the interpreters that published.toml names. Exit code 1 where a known
failure was not found or is explained by something else, or a well-behaved package was blamed.
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
schedule that was found failed in the same way; each schedule was also confirmed in an interpreter that was
not forked. What hangs with one thread needs no schedule. Which of two threads gets a `_DeadlockError` is
decided by who asks last; the two locks are the same.
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
    done = folder / "installed"
    found = folder / "bin" / "python"
    if not done.exists() or done.read_text() != "\n".join(needs):
        subprocess.run([executable, "-m", "venv", "--clear", folder], check=True)
        pip = [found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *needs], check=True)
        done.write_text("\n".join(needs))
    return found


def reproduce(python: Path, target: str, entries: list[str], threads: int, limit: float) -> Run:
    command = [sys.executable, "-m", "importtrace", "reproduce", target, "--json", "--seed", "1"]
    command += ["--python", str(python), "--threads", str(threads), "--time-limit", str(limit)]
    command += ["--run-limit", str(RUN_S)]
    for entry in entries:
        command += ["--entry", entry]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"published.py: {' '.join(command)}\n{done.stderr}")
    data = json.loads(done.stdout)
    assert data["failed"] == (done.returncode == 1)
    return Run(data["python"], data, time.monotonic() - begin)


def found(run: Run, entries: list[str]) -> dict[str, Any] | None:
    """The first failure: a proven interleaving, or an order of the entries."""
    for one in run.data["interleavings"]:
        return dict(one)
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
    failure = found(run, case["entries"])
    needs = ", ".join(case["needs"]) or "the standard library"
    names = " ".join(f"--entry {entry}" for entry in case["entries"])
    lines = [
        f"### {case['name']}",
        "",
        f"{needs}, Python {run.version}, in {run.seconds:.0f} s:",
        f"`importtrace reproduce {case['target']} {names}`",
        "",
        f"- Reported: <{case['report']}>",
        f"- Explained there: {case['says']}.",
    ]
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
    if "schedule" in failure:
        lines.append(f"- Replayed {failure['replayed']}: `{failure['schedule']}`")
        if failure.get("confirmed") is not True or not _certain(failure["replayed"]):
            wrong.append(f"{case['name']}: not certain: {failure['replayed']}")
    return wrong, "\n".join([*lines, ""])


def _certain(replayed: str) -> bool:
    done, _, of = replayed.partition("/")
    return done == of


def well_behaved(case: dict[str, Any], run: Run) -> tuple[list[str], str]:
    blamed = run.data["failed"]
    coverage = clean(run.data["coverage"])
    own = sum(one["by_interpreter"] for one in run.data["interleavings"])
    note = f"; {own} deadlock{'s' if own != 1 else ''} of Python's own lock order" if own else ""
    answer = f"no{note}"
    if blamed:
        answer = f"yes, rightly: {case['fails']}" if "fails" in case else "**yes**"
    wrong = []
    if blamed != ("fails" in case):
        wrong.append(f"{case['target']}: {'' if blamed else 'not '}blamed")
    return wrong, f"| {case['needs']} | {answer} | {coverage} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="a package of published.toml")
    parser.add_argument("--cache", type=Path, default=HERE / ".nox" / "published", metavar="DIR")
    given = parser.parse_args()
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    names = {case["name"] for case in table["known"]}
    names |= {case["target"] for case in table["well_behaved"]}
    unknown = set(given.only or ()) - names
    if unknown:
        parser.error(f"not in {TABLE.name}: {', '.join(sorted(unknown))}")
    wrong: list[str] = []
    sections = []
    for case in table["known"]:
        if given.only and case["name"] not in given.only:
            continue
        python = environment(given.cache, case["name"], case["python"], case["needs"])
        limit = case.get("time_limit", KNOWN_S)
        run = reproduce(python, case["target"], case["entries"], case.get("threads", 2), limit)
        bad, section = judge(case, run)
        wrong += bad
        sections.append(section)
        print(section, flush=True)
    rows = []
    for case in table["well_behaved"]:
        if given.only and case["target"] not in given.only:
            continue
        python = environment(given.cache, case["target"], WELL_BEHAVED_PYTHON, [case["needs"]])
        run = reproduce(python, case["target"], [], 2, WELL_BEHAVED_S)
        bad, row = well_behaved(case, run)
        wrong += bad
        rows.append(row)
        print(row, flush=True)
    if given.only:
        text = replaced(PAGE.read_text(encoding="utf-8"), sections, rows)
    else:
        text = page(sections, rows, table["tried"])
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(HERE)}")
    for line in wrong:
        print(f"published.py: {line}", file=sys.stderr)
    return 1 if wrong else 0


def replaced(text: str, sections: list[str], rows: list[str]) -> str:
    """The page with these sections and rows in the place of those of the same name."""
    for section in sections:
        head = section.splitlines()[0]
        old = re.search(rf"^{re.escape(head)}\n.*?(?=^##)", text, re.MULTILINE | re.DOTALL)
        if old is None:
            raise SystemExit(f"published.py: {PAGE.name} has no section {head!r}; run all of them")
        text = text[: old.start()] + section + "\n" + text[old.end() :]
    for row in rows:
        start = re.escape(row[: row.index("|", 1) + 1])
        text, count = re.subn(rf"^{start}.*$", lambda _, row=row: row, text, flags=re.MULTILINE)
        if not count:
            raise SystemExit(f"published.py: {PAGE.name} has no row {start}; run all of them")
    return text


def page(sections: list[str], rows: list[str], tried: list[dict[str, str]]) -> str:
    return "\n".join(
        [
            HEAD,
            *sections,
            "## Well-behaved packages",
            "",
            f"Every module first, then pairs of modules on two threads, {WELL_BEHAVED_S} s each, Python "
            f"{WELL_BEHAVED_PYTHON}. A deadlock that",
            "only CPython's own order of locks makes is told, and is no blame "
            "(see [reproduce](reproduce.md)).",
            "",
            "| package | blamed | covered |",
            "| --- | --- | --- |",
            *rows,
            "",
            "## Tried, not reproduced",
            "",
            *(f"- {one['name']}, <{one['report']}>: {one['why']}." for one in tried),
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
