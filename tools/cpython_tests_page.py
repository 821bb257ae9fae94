"""The table of CPython's own tests in the page on compatibility; tools/cpython_tests.py makes its rows."""

from pathlib import Path
from typing import Any

import page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compatibility.md"
SECTION = "cpython-tests"
MODES = ("auto", "probes", "finder")
HEAD = ("interpreter", "mode", "files", "tests", "same", "unsteady", "listed below")


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """(interpreter, mode) -> the cells of its row."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if len(cells) == len(HEAD) and line[:3] != "| -" and cells != list(HEAD):
            found[cells[0], cells[1]] = cells
    return found


def write(results: "dict[tuple[str, str], list[str]]", exceptions: "list[dict[str, Any]]") -> None:
    """Renews the rows of these interpreters in the page; the others stay."""
    old = page.read(PAGE, SECTION)
    table = {**rows(old), **results}
    lines = ["| " + " | ".join(HEAD) + " |", "| --- " * len(HEAD) + "|"]
    lines += ["| " + " | ".join(table[key]) + " |" for key in sorted(table, key=_order)]
    if exceptions:
        lines += ["", "| test | modes | why it must differ |", "| --- | --- | --- |"]
        for one in exceptions:
            modes = ", ".join(one.get("modes", MODES))
            lines.append(f"| `{one['test']}` | {modes} | {one['reason']} |")
    page.write(PAGE, SECTION, "\n".join(lines))


def _order(key: tuple[str, str]) -> tuple[list[int], str, int]:
    version, mode = key
    numbers = [int(part) for part in version.rstrip("t").split(".")]
    return numbers, version, MODES.index(mode)
