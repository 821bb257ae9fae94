"""What the documentation promises exists: links, commands, settings, slugs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import importtrace
from importtrace import config

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PROSE = [page for page in PAGES if page.name != "CHANGELOG.md"]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository, and a heading of it where it has one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name} links to {target}"


def test_every_page_is_reachable_from_the_index() -> None:
    """A page that docs/index.md does not name is a page that nobody finds."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    unnamed = [
        page.name
        for page in (ROOT / "docs").glob("*.md")
        if page.name != "index.md" and f"({page.name})" not in index
    ]
    assert unnamed == []


def _settings_table() -> list[list[str]]:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+) \|$", page, re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


def test_settings_table_is_the_settings() -> None:
    """docs/configuration.md lists each setting of install(), with its variable and its default."""
    shown = {
        row[0].strip("`"): (row[1].strip("`"), "" if row[2] == "none" else row[2].strip("`"))
        for row in _settings_table()
    }
    real = {
        name: ("IMPORTTRACE_" + name.upper(), str(default) if default else "")
        for name, (default, _) in config._SETTINGS.items()
    }
    assert shown == real


def test_settings_are_the_arguments_of_install() -> None:
    """install() takes every setting by keyword and nothing else."""
    parameters = inspect.signature(importtrace.install).parameters.values()
    assert {parameter.name for parameter in parameters} == set(config._SETTINGS)
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)


def _slugs() -> dict[str, str]:
    """slug: class, of every error class in the package, wherever it is defined."""
    package = Path(importtrace.__file__).parent
    found: dict[str, str] = {}
    for source in package.rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        pairs = re.findall(r'^class (\w+)\(.*\):(?:\n(?:    .*)?)*?\n    slug = "(.+)"', text, re.M)
        found.update({slug: name for name, slug in pairs})
    return found


def test_every_slug_is_explained() -> None:
    """docs/messages.md has a paragraph for each slug, which names the class, and for no other."""
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    paragraphs = dict(re.findall(r"^## (\S+)\n\n`(\w+)`", page, re.MULTILINE))
    assert {"error", "bad-setting"} <= _slugs().keys()
    assert paragraphs == _slugs()


def _commands(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL)
    code = "\n".join(part for block in blocks for part in block)
    return set(re.findall(r"^\s*(?:python -m )?importtrace ([a-z]+)\b", code, re.MULTILINE))


def test_commands_named_exist() -> None:
    """Each `importtrace COMMAND` in the documentation answers --help."""
    named = set().union(*(_commands(page) for page in PROSE))
    assert {"run", "explain", "report", "demo"} <= named
    for command in sorted(named):
        done = subprocess.run(
            [sys.executable, "-m", "importtrace", command, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"importtrace {command}: {done.stderr}"


def test_tasks_named_exist() -> None:
    """make, dev.py and the README offer the same tasks."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    tasks = set(re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PROSE:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"python3? dev\.py (\w+)", text)) <= tasks | {"TASK"}
        for name in re.findall(r"`make (\w+)", text) + re.findall(r"^make (\w+)", text, re.M):
            assert re.search(rf"^[\w ]*\b{name}\b[\w ]*:", makefile, re.MULTILINE), name
    assert {"demo", "test"} <= tasks


def test_unknown_task_is_one_line() -> None:
    """A misspelt task names those that exist, and sets nothing up."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "tset"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'tset'" in done.stderr
    assert "test" in done.stderr
