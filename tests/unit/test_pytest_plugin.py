"""The pytest plugin, in the pytest of a project of somebody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = "_importtrace_pytest"
# An installation may or may not have registered it yet.
INSTALLED = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
LOAD = [] if INSTALLED else ["-p", PLUGIN]

Run = "Callable[..., subprocess.CompletedProcess[str]]"


@pytest.fixture
def project(tmp_path: Path) -> Run:
    """Writes files into a folder and runs pytest there; its output is the result's stdout."""

    def run(
        *options: str, env: dict[str, str] | None = None, **files: str
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text(files.pop("ini", "[pytest]\nfilterwarnings = error\n"))
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:randomly", *LOAD, *options],
            cwd=tmp_path,
            env=clean | (env or {}),
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def summary(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of pytest, without the time it took."""
    return re.sub(r" in [\d.]+s.*", "", done.stdout.strip().splitlines()[-1]).strip("= ")


def test_nothing_of_importtrace_is_imported_for_tests_that_do_not_use_it(project: Run) -> None:
    """Neither the package nor its capture; and nothing is traced."""
    done = project(
        test_it="""
import sys

def test_it():
    assert [name for name in sys.modules if name.startswith("importtrace")] == []
"""
    )
    assert summary(done) == "1 passed", done.stdout


def test_fixtures_trace_nothing(project: Run) -> None:
    """Using them leaves the import machinery as it was."""
    done = project(
        test_it="""
import _frozen_importlib, sys

SEAM = _frozen_importlib._ModuleLock.acquire

def test_fresh(fresh_interpreter):
    assert fresh_interpreter.imports("colorsys").check().modules == ("colorsys",)
    assert _frozen_importlib._ModuleLock.acquire is SEAM

def test_restored(restored_modules):
    import colorsys

def test_after():
    assert "colorsys" not in sys.modules
"""
    )
    assert summary(done) == "3 passed", done.stdout


MARKED = """
import os, sys
import pytest

sys.modules.setdefault("seen_by", os)
PARENT = os.environ.setdefault("PID_OF_PARENT", str(os.getpid()))

def test_before():
    import colorsys
    assert str(os.getpid()) == PARENT

@pytest.mark.fresh_interpreter
def test_marked(tmp_path, capsys):
    assert str(os.getpid()) != PARENT
    assert "colorsys" not in sys.modules

@pytest.mark.fresh_interpreter
@pytest.mark.parametrize("value", ["a b", "e/f::[g]"])
def test_parametrized(value):
    assert str(os.getpid()) != PARENT

class TestClass:
    @pytest.mark.fresh_interpreter
    def test_method(self):
        assert str(os.getpid()) != PARENT

def test_after():
    assert str(os.getpid()) == PARENT
"""


def test_marked_tests_run_in_an_interpreter_of_their_own(project: Run) -> None:
    """Others stay where they are; parameters and classes work."""
    done = project("-v", test_it=MARKED)
    assert summary(done) == "6 passed", done.stdout
    assert "test_it.py::test_parametrized[e/f::[g]] PASSED" in done.stdout


OUTCOMES = """
import pytest

@pytest.fixture
def broken():
    raise LookupError("the fixture is broken")

@pytest.mark.fresh_interpreter
def test_fails():
    print("printed before")
    expected = 5
    assert 2 + 2 == expected

@pytest.mark.fresh_interpreter
def test_errs(broken):
    pass

@pytest.mark.fresh_interpreter
def test_skips():
    pytest.skip("not today")

@pytest.mark.fresh_interpreter
@pytest.mark.xfail(reason="known")
def test_is_known_to_fail():
    assert False

@pytest.mark.skip(reason="never")
@pytest.mark.fresh_interpreter
def test_never():
    pass
"""


def test_outcomes_come_through_as_they_are(project: Run) -> None:
    """Failures with their explanation and output, fixtures' errors, skips with their reason, xfail."""
    done = project("-rsx", test_it=OUTCOMES)
    assert done.returncode == 1
    assert summary(done) == "1 failed, 2 skipped, 1 xfailed, 1 error", done.stdout
    for text in (
        "assert (2 + 2) == 5",
        "printed before",
        "LookupError: the fixture is broken",
        "not today",
        "never",
        "test_is_known_to_fail",
    ):
        assert text in done.stdout


def test_interpreter_that_ends_early_is_a_failure_of_that_test_alone(project: Run) -> None:
    """os._exit, a signal, a hang: each fails its test, says how, and the others run."""
    done = project(
        test_it="""
import os, signal, threading
import pytest

@pytest.mark.fresh_interpreter
def test_exits():
    print("some last words", flush=True)
    os._exit(0)

@pytest.mark.fresh_interpreter
def test_crashes():
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.fresh_interpreter(timeout_s=4)
def test_hangs():
    threading.Event().wait()

def test_good():
    pass
"""
    )
    assert summary(done) == "3 failed, 1 passed", done.stdout
    assert "ended with status 0 before the test was over" in done.stdout
    assert "was ended by signal 9 before the test was over" in done.stdout
    assert "did not end within 4 s and was stopped" in done.stdout
    assert "in test_hangs" in done.stdout  # where it stood


def test_fixtures_of_other_scopes_are_torn_down_where_they_were_set_up(project: Run) -> None:
    """A module's fixture lives on around a marked test, and ends with its module, marked test or not."""
    one = """
import pytest
from log import LOG

@pytest.fixture(scope="module", autouse=True)
def module():
    LOG.append("up")
    yield
    LOG.append("down")

def test_first():
    assert LOG == ["up"]

@pytest.mark.fresh_interpreter
def test_last():
    assert LOG == ["up"]  # once more, over there
"""
    done = project(
        "test_a.py",
        "test_b.py",
        log="LOG = []\n",
        test_a=one,
        test_b="from log import LOG\ndef test_it():\n    assert LOG == ['up', 'down']\n",
    )
    assert summary(done) == "3 passed", done.stdout


def test_options_of_the_caller_hold_in_the_child(project: Run) -> None:
    """-k and -m do not deselect the test a second time; others, conftest's own too, are passed on."""
    done = project(
        "--mine=set",
        "-k",
        "marked",
        "-m",
        "fresh_interpreter",
        "-W",
        "ignore::UserWarning",
        ini="[pytest]\nfilterwarnings = error\naddopts = --strict-markers -m nothing\n",
        conftest="def pytest_addoption(parser):\n    parser.addoption('--mine')\n",
        test_it="""
import warnings
import pytest

@pytest.mark.fresh_interpreter
def test_marked(request):
    assert request.config.getoption("--mine") == "set"
    warnings.warn("ignored")
""",
    )
    assert summary(done) == "1 passed", done.stdout


def test_report_files_of_the_caller_are_written_once(project: Run, tmp_path: Path) -> None:
    """The child does not write over the caller's JUnit file, and it holds the marked test."""
    done = project(
        "--junit-xml=out.xml",
        ini="[pytest]\nfilterwarnings = error\njunit_family = xunit1\n",
        test_it="""
import pytest

@pytest.mark.fresh_interpreter
def test_marked(record_property):
    record_property("seen", "there")

def test_other():
    pass
""",
    )
    assert summary(done) == "2 passed", done.stdout
    text = (tmp_path / "out.xml").read_text()
    assert text.count("<testcase") == 2
    assert 'name="test_marked"' in text
    assert '<property name="seen" value="there"' in text


def test_mistake_in_the_marker_is_one_line(project: Run) -> None:
    """It names the test and what the marker takes."""
    done = project(
        test_it="""
import pytest

@pytest.mark.fresh_interpreter(timeout=5)
def test_it():
    pass
"""
    )
    assert done.returncode != 0
    assert "fresh_interpreter takes nothing but timeout_s=SECONDS" in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_traced_test_run_is_not_warned_about(project: Run) -> None:
    """pytest wants to rewrite plugins' distributions; that ours is loaded before it is no reason to warn."""
    done = project(
        "-W",
        "error",
        sitecustomize="import importtrace\nimporttrace.install(log='off', spans='off')\n",
        test_it="import sys\n\ndef test_it():\n    assert 'importtrace' in sys.modules\n",
        env={"PYTHONPATH": "."},
    )
    assert summary(done) == "1 passed", done.stdout + done.stderr
