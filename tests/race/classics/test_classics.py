"""examples/classics: the buggy one is found and proven, its mended twin is not blamed.

A sample runs always; the rest is marked `integration`, for its time: no failure is the longest of searches.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from race_support import TRUE_HERE

from importtrace import race

CLASSICS = Path(__file__).parents[3] / "examples" / "classics"
TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    (CLASSICS / "classics.toml").read_text(encoding="utf-8")
)
OUTCOMES = {"ok", "import_error", "error", "deadlock", "timeout", "exit"}

SLOW = pytest.mark.integration
QUICK_BUGGY = {
    "same_thread_cycle",
    "two_thread_race",
    "star_import",
    "lazy_submodule",
    "application_lock",
}
QUICK_MENDED = {"two_thread_race", "star_import", "parent_and_child", "lazy_submodule"}


def cases(quick: set[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in quick else SLOW, id=name) for name in TABLE]


def expected(name: str) -> str:
    """The outcome on this interpreter."""
    outcome = TABLE[name]["outcome"]
    for behaviour, instead in TABLE[name].get("differs", {}).items():
        if TRUE_HERE[behaviour]:
            outcome = instead
    return outcome


def explore(name: str, variant: str, **options: Any) -> race.Report:
    given = TABLE[name]
    options.setdefault("threads", max(2, len(given["entries"])))
    options.setdefault("entries", given["entries"])
    return race.explore(
        given["target"],
        path=[os.fspath(CLASSICS / name / variant)],
        seed=1,
        run_limit_s=4.0,
        time_limit_s=240.0,
        **options,
    )


def failures(report: race.Report) -> set[str]:
    """Outcomes of the failures that the report blames."""
    found = {row.outcome for row in report.orders if row.failed}
    return found | {proof.result.outcome for proof in report.proofs}


@pytest.mark.parametrize("name", cases(QUICK_BUGGY))
def test_buggy_one_is_found_and_proven(name: str) -> None:
    """From its names alone; with the outcome of the table, replayed every time, confirmed without a fork."""
    report = explore(name, "buggy")
    outcome = expected(name)
    if outcome == "ok":
        assert not report.failed, race_text(report)
        return
    assert report.failed
    assert outcome in failures(report), race_text(report)
    for proof in report.proofs:
        assert proof.replayed == proof.replays, race_text(report)
        assert proof.confirmed is True, race_text(report)
    kind = TABLE[name].get("kind")
    if kind is not None and outcome == TABLE[name]["outcome"]:
        causes = [row.cause for row in report.orders if row.failed]
        causes += [proof.cause for proof in report.proofs]
        assert kind in {cause["kind"] for cause in causes if cause}, race_text(report)


@pytest.mark.parametrize("name", cases(QUICK_MENDED))
def test_mended_twin_is_not_blamed(name: str) -> None:
    """The whole search, to its end, finds nothing."""
    report = explore(name, "mended")
    assert not report.failed, race_text(report)
    assert not failures(report), race_text(report)
    assert not report.out_of_time


def race_text(report: race.Report) -> str:
    from importtrace.race import report as reports

    return reports.text(report)


@SLOW
def test_three_threads_are_needed_for_the_ring() -> None:
    """Any two of its entries work, on every schedule with up to two switches."""
    report = explore("three_thread_ring", "buggy", threads=2, strategy="exhaustive")
    assert not report.failed, race_text(report)
    assert (report.groups, report.complete) == (3, True)


def test_command_line_finds_one_and_writes_json() -> None:
    """What the README of the classics tells to type; exit code 1, and the failure in the JSON."""
    entries = [word for entry in ("mail", "mail.template") for word in ("--entry", entry)]
    options = ["--path", "two_thread_race/buggy", "--seed", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "importtrace", "reproduce", "mail", *entries, *options],
        cwd=CLASSICS,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if expected("two_thread_race") == "ok":
        assert done.returncode == 0, done.stdout
        return
    assert done.returncode == 1, done.stderr
    [found] = json.loads(done.stdout)["interleavings"]
    assert found["outcome"] == expected("two_thread_race")
    assert found["replayed"] == "20/20"


@pytest.mark.parametrize("name", TABLE)
def test_each_is_complete_and_plain_code(name: str) -> None:
    """README, both variants, a known outcome; nothing that waits or orders threads to help the bug along."""
    given = TABLE[name]
    folder = CLASSICS / name
    assert (folder / "README.md").is_file()
    assert given["outcome"] in OUTCOMES
    assert set(given.get("differs", {})) <= set(TRUE_HERE)
    assert set(given.get("differs", {}).values()) <= OUTCOMES
    for variant in ("buggy", "mended"):
        assert (folder / variant / given["target"] / "__init__.py").is_file()
        for entry in given["entries"]:
            path = folder / variant / entry.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
        for file in (folder / variant).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\b(sleep|Barrier|Event|Condition|importtrace)\b", text), file


def test_table_and_folders_agree() -> None:
    """No folder is left out of the table or of the README."""
    folders = {path.name for path in CLASSICS.iterdir() if path.is_dir()}
    assert folders == set(TABLE)
    listed = re.findall(r"^\| \[(\w+)\]", (CLASSICS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(folders)
