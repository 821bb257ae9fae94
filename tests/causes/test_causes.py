"""The corpus: packages that have a bug, twins that only look like it, and what may be said of each.

"Wrong explanations are the worst defect this library can have." README.md says how to add a case.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from corpus import CASES
from corpus.match import KINDS, broken_contract, mismatches
from corpus.model import PACKAGES, Case, Skip, differs, files_of, outcome

MODES = ("auto", "probes")

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_mode = pytest.mark.parametrize("mode", MODES)


def result_of(case: Case, mode: str) -> dict[str, Any]:
    try:
        return outcome(case, mode)
    except Skip as reason:
        pytest.skip(str(reason))


def told(case: Case, complaints: list[str], result: dict[str, Any], name: str) -> None:
    """Fails with all complaints and the explanation that they are about."""
    if complaints:
        text = result["errors"][name].get("text")
        pytest.fail(
            "\n".join([f"{case.id}, {name}:", *complaints, "it said:", str(text)]), pytrace=False
        )


def test_every_folder_is_a_case() -> None:
    """No package lies here that nothing runs."""
    folders = {
        (variant.parent.name, variant.name)
        for variant in PACKAGES.glob("*/*")
        if variant.is_dir() and variant.name not in ("common", "__pycache__")
    }
    assert folders <= {(case.case, case.variant) for case in CASES}


@pytest.mark.parametrize("case_name", sorted({case.case for case in CASES}))
def test_every_bug_has_a_twin(case_name: str) -> None:
    """Beside each bug stands a program that works, or one whose explanation must be another."""
    variants = [case for case in CASES if case.case == case_name]
    kinds = {tuple(fails.kinds for fails in case.fails.values()) for case in variants}
    assert len(kinds) > 1


@every_case
def test_it_happens_without_importtrace(case: Case) -> None:
    """The program ends as its case says before anything of ours is there to disturb it."""
    assert differs(case, result_of(case, "off")) == ""


@every_case
@each_mode
def test_tracing_changes_nothing_but_the_note(case: Case, mode: str) -> None:
    """The same exceptions, messages, tracebacks and stderr as untraced, but for the notes."""

    def seen(result: dict[str, Any]) -> dict[str, Any]:
        out = {
            name: [error["type"], error["message"], *error["traceback"]]
            for name, error in result["errors"].items()
        }
        out["stderr"] = result["stderr"].splitlines()
        # addresses, and the idents that 3.11 prints of a deadlocked lock
        return {
            k: [re.sub(r"0x[0-9a-f]+|\b\d{9,}\b", "N", line) for line in v] for k, v in out.items()
        }

    assert seen(result_of(case, mode)) == seen(result_of(case, "off"))


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.id)
@each_mode
def test_cause(case: Case, mode: str) -> None:
    """What explain() says of each exception is what a maintainer would say."""
    result, root = result_of(case, mode), files_of(case)
    for name, fails in case.fails.items():
        error = result["errors"][name]
        told(case, mismatches(error["cause"], error["text"], fails, root), result, name)


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.id)
@each_mode
def test_cause_keeps_the_contract(case: Case, mode: str) -> None:
    """Known keys, right shapes; every file, line and statement that is named stands there."""
    result = result_of(case, mode)
    for name, error in result["errors"].items():
        assert "explain_raised" not in error, error["explain_raised"]
        if error["cause"] is not None:
            told(case, broken_contract(error["cause"]), result, name)


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.id)
@each_mode
def test_notes(case: Case, mode: str) -> None:
    """One note per exception that left a load; none for what optional imports do every day."""
    result = result_of(case, mode)
    for name, fails in case.fails.items():
        notes = result["errors"][name]["notes"]
        assert len(notes) <= 1, notes
        if fails.notes is not None and None not in fails.kinds:
            assert len(notes) == fails.notes, notes
    if case.notes_within is not None:
        assert len(result["notes_within"]) == case.notes_within


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.id)
def test_fingerprint_is_the_same_in_another_process(case: Case) -> None:
    """Two processes, two modes, one cause: one fingerprint."""
    prints = []
    for mode in MODES:
        errors = result_of(case, mode)["errors"]
        prints.append({n: e["cause"] and e["cause"]["fingerprint"] for n, e in errors.items()})
    assert prints[0] == prints[1]


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.fails], ids=lambda case: case.id
)
@each_mode
def test_a_program_that_works_is_left_in_peace(case: Case, mode: str) -> None:
    """Nothing is reported of a program without a failure; what it handled says so."""
    result = result_of(case, mode)
    failed = [record for record in result["records"] if record["outcome"] == "failed"]
    assert [(r["module"], r.get("error")) for r in failed if not r.get("handled")] == []
    partial = {record["module"] for record in result["records"] if record["outcome"] == "partial"}
    assert set(case.hands_out) <= partial


@pytest.mark.parametrize("case", [case for case in CASES if case.handled], ids=lambda case: case.id)
@each_mode
def test_handled_failures_are_recorded_as_handled(case: Case, mode: str) -> None:
    """A failure that an enclosing body caught, and lived on, is in the trace, marked handled."""
    records = result_of(case, mode)["records"]
    for module, type_ in case.handled.items():
        found = [r for r in records if r["module"] == module and r["outcome"] == "failed"]
        assert [(r["error"]["type"], r.get("handled")) for r in found] == [(type_, True)]


def test_corpus_files_are_small() -> None:
    """A package that shows a bug can be read at one glance."""
    sizes = {file: len(file.read_text().splitlines()) for file in Path(PACKAGES).rglob("*.py")}
    assert max(sizes.values()) <= 60


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_its_paragraph(kind: str) -> None:
    """docs/causes.md says of each kind what it looks like, what it is and what to do."""
    page = (Path(__file__).parents[2] / "docs" / "causes.md").read_text(encoding="utf-8")
    _, found, rest = page.partition(f"\n### {kind}\n")
    paragraph = rest.partition("\n#")[0]
    assert found
    assert all(word in paragraph for word in ("**Looks like**", "**Is:**", "**Do:**"))
