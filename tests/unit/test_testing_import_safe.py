"""`assert_import_safe`: green where nothing fails, and a report that says why where something does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from importtrace.errors import ImportTraceError
from importtrace.testing import assert_import_safe


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """One module that depends on who was imported first, and two that do not."""
    folder = tmp_path / "orderly"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text("VALUE = 1\n")
    (folder / "good.py").write_text("from orderly.base import VALUE\n")
    (folder / "outer.py").write_text("from orderly.inner import NAME\n")
    (folder / "inner.py").write_text("import orderly.outer\nNAME = 1\n")
    return tmp_path


def test_failure_is_an_assertion_with_the_whole_report(package: Path) -> None:
    """Which module, in which order it works, and why."""
    with pytest.raises(AssertionError) as caught:
        assert_import_safe("orderly", path=[package], threads=1)
    text = str(caught.value)
    assert text.startswith("not safe to import\n")
    for part in ("orderly.inner", "cannot import name 'NAME'", "inner.py"):
        assert part in text


def test_only_entries_have_to_be_safe_where_it_is_said(package: Path) -> None:
    """With orders="entries" a module that nobody imports first may depend on the order."""
    report = assert_import_safe(
        "orderly",
        path=[package],
        entries=["orderly.good", "orderly.outer"],
        orders="entries",
        threads=1,
    )
    assert not report.failed
    assert len(report.orders) == 4  # each alone, and both orders
    with pytest.raises(AssertionError, match=r"orderly\.inner"):
        assert_import_safe(
            "orderly", path=[package], entries=["orderly.good", "orderly.outer"], threads=1
        )


def test_coverage_is_returned(package: Path) -> None:
    """A safe result says what was run."""
    report = assert_import_safe(
        "orderly", path=[package], entries=["orderly.base", "orderly.good"], orders="entries"
    )
    assert report.schedules_run > len(report.orders) > 0
    assert (report.groups, report.complete, report.out_of_time) == (1, True, False)


def test_bad_input_is_no_assertion(package: Path) -> None:
    """A typing error is not mistaken for an import that fails."""
    with pytest.raises(ImportTraceError, match="ordrely"):
        assert_import_safe("ordrely", path=[package])
    with pytest.raises(ValueError, match=r'"all" or "entries", not .some.'):
        assert_import_safe("orderly", path=[package], orders="some")
    with pytest.raises(ValueError, match=r"needs entries=\[\.\.\.\]"):
        assert_import_safe("orderly", path=[package], orders="entries")


def test_documentation_lists_every_argument() -> None:
    """docs/testing.md has a row for each, and none for what does not exist."""
    page = Path(__file__).parents[2] / "docs" / "testing.md"
    section = page.read_text(encoding="utf-8").partition("## A fresh interpreter")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    wanted = list(inspect.signature(assert_import_safe).parameters)
    assert sorted(listed) == sorted(set(wanted) - {"target"})
