"""docs/observed.md says what each seam sees on each interpreter; a change of it fails here.

    python tests/interop/test_observed.py --write    # writes down this interpreter's rows
    python tests/interop/test_observed.py            # prints them

The page is the record: its tables are read back, so that rows of interpreters that are not at hand
stay. An interpreter that the page does not know is skipped; write it down with ``--write``.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from observed_programs import PROGRAMS, Program  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "observed.md"
SUPPORT = HERE.parent / "causes" / "support"
THIS = ".".join(map(str, sys.version_info[:3]))
SEAMS = ("lock", "called", "created", "found", "record")
HEADS = (
    "interpreters",
    "module",
    "lock taken by",
    "`_call_with_frames_removed`",
    "`_init_module_attrs`",
    "finder",
    "importtrace records",
)
NONE = "-"
BEGIN = "<!-- rows: written by tests/interop/test_observed.py --write -->"

Row = tuple[str, ...]  # module, then a cell for each seam


def run(program: Program, how: str, root: Path) -> list[list[str]]:
    """(thread, module, seam, what) of each thing seen, in order."""
    for name, text in program.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if program.name == "zip":
        with zipfile.ZipFile(root / "z.zip", "w") as archive:
            archive.writestr("m.py", "x = 1\n")
    spy = root / "spy.py"  # beside main.py, so that sys.path[0] is what it is for `python main.py`
    spy.write_text((HERE / "observed_spy.py").read_text())
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("IMPORTTRACE", "OTEL_"))}
    environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(SUPPORT), environ.get("PYTHONPATH", "")])
    )
    done = subprocess.run(
        [sys.executable, str(spy), how, str(root / "main.py"), *program.targets],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    _, found, line = done.stdout.rpartition("\nSEEN ")
    assert found, f"{program.name}: ended with {done.returncode}:\n{done.stderr[-2000:]}"
    seen: list[list[str]] = json.loads(line)
    return seen


def observe(program: Program) -> list[Row]:
    """The rows of the page for the running interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        seen = [*run(program, "seams", root), *run(program, "records", root)]
    rows = []
    for target in program.targets:
        cells = [f"`{target}`"]
        for seam in SEAMS:
            threads: dict[str, list[str]] = {}
            for thread, module, its_seam, what in seen:
                if module == target and its_seam == seam:
                    threads.setdefault(thread, []).append(what)
            parts = [
                (f"{name}: " if name != "main" else "") + ", ".join(_folded(whats))
                for name, whats in sorted(threads.items())
            ]
            cells.append("; ".join(parts) or NONE)
        rows.append(tuple(cells))
    return rows


def _folded(whats: list[str]) -> list[str]:
    """Repetitions in a row as a count."""
    out: list[tuple[str, int]] = []
    for what in whats:
        if out and out[-1][0] == what:
            out[-1] = (what, out[-1][1] + 1)
        else:
            out.append((what, 1))
    return [what if count == 1 else f"{count} x {what}" for what, count in out]


# the page ----------------------------------------------------------------------------------

Table = dict[str, list[Row]]  # interpreter -> its rows


def read() -> tuple[str, dict[str, Table]]:
    """The page's introduction, and its tables by program."""
    head, _, body = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tables: dict[str, Table] = {}
    table: Table = {}
    for line in body.splitlines():
        if line.startswith("### "):
            table = tables.setdefault(line[4:], {})
        elif line.startswith("| ") and not line.startswith(("| interpreters", "| ---")):
            versions, *cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            for version in versions.split(", "):
                table.setdefault(version, []).append(tuple(cells))
    return head, tables


def write(head: str, tables: dict[str, Table]) -> str:
    """The page. Interpreters that show the same share their lines."""
    lines = [head + BEGIN]
    for program in PROGRAMS:
        table = tables.get(program.name, {})
        groups: dict[tuple[Row, ...], list[str]] = {}
        for version in sorted(table, key=_natural):
            groups.setdefault(tuple(table[version]), []).append(version)
        lines += ["", f"### {program.name}", "", program.says, ""]
        lines += ["| " + " | ".join(HEADS) + " |", "| --- " * len(HEADS) + "|"]
        for rows, versions in groups.items():
            lines += ["| " + " | ".join((", ".join(versions), *row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _natural(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


here = [program for program in PROGRAMS if sys.version_info >= program.since]


@pytest.mark.parametrize("program", here, ids=lambda program: program.name)
def test_seams_show_what_the_page_says(program: Program) -> None:
    """Each seam, and the recorder on top of them, sees here what docs/observed.md has written down."""
    table = read()[1].get(program.name, {})
    if THIS not in table:
        pytest.skip(f"{THIS} is not in docs/observed.md; test_observed.py --write adds it")
    assert observe(program) == table[THIS]


def test_the_page_is_as_it_would_be_written() -> None:
    """Nobody edited a row by hand; every program has its section."""
    head, tables = read()
    assert write(head, tables) == PAGE.read_text(encoding="utf-8")


def main(arguments: list[str]) -> None:
    head, tables = read()
    for program in here:
        rows = observe(program)
        tables.setdefault(program.name, {})[THIS] = rows
        if "--write" not in arguments:
            print(program.name, *(" | ".join(row) for row in rows), sep="\n  ")
    if "--write" in arguments:
        PAGE.write_text(write(head, tables), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
