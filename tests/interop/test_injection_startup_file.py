"""Start-up files: ``python -m importtrace.inject --install`` and what they then do."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import importtrace
from importtrace.inject import SITE

SOURCE = Path(importtrace.__file__).parent.parent
LOADED = "import sys; print(sorted(n for n in sys.modules if n.startswith('importtrace')))"


def run(executable: str | Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONPATH" and not key.startswith(("IMPORTTRACE", "OTEL_"))
    }
    return subprocess.run(
        [str(executable), *arguments],
        env={**env, "IMPORTTRACE_LOG": "off", **extra},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, Path]:
    """Another environment, with importtrace on its path: (interpreter, site-packages)."""
    home = tmp_path / "other"
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    executable = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    shown = run(executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    packages = Path(shown.stdout.strip())
    # as an editable install does it; sorted before ours, like those of hatchling and setuptools
    (packages / "_importtrace.pth").write_text(f"{SOURCE}\n")
    return executable, packages


def test_installed_it_traces_when_switched_on_and_costs_nothing_when_off(
    other: tuple[Path, Path],
) -> None:
    """Off, importtrace is not imported; 3.15 imports the small module that .start names."""
    executable, packages = other
    wrote = run(sys.executable, "-m", "importtrace.inject", "--install", "--dir", str(packages))
    assert (wrote.returncode, wrote.stderr) == (0, "")
    assert {path.name for path in packages.glob("importtrace_start*")} == {
        "importtrace_start.py",
        "importtrace_start.pth",
        "importtrace_start.start",
    }
    off = run(executable, "-c", LOADED)
    assert off.stdout == ("['importtrace_start']\n" if sys.version_info >= (3, 15) else "[]\n")
    assert run(executable, "-c", LOADED, IMPORTTRACE="0").stdout == off.stdout
    switched = run(executable, "-c", LOADED, IMPORTTRACE="1")
    assert "'importtrace'" in switched.stdout
    assert switched.stderr == ""


def test_both_ways_at_once_record_once(other: tuple[Path, Path], tmp_path: Path) -> None:
    """The directory on PYTHONPATH beside start-up files: one session, one trace."""
    executable, packages = other
    run(sys.executable, "-m", "importtrace.inject", "--install", "--dir", str(packages))
    trace = tmp_path / "t.jsonl"
    result = run(
        executable,
        "-c",
        "import colorsys",
        IMPORTTRACE="1",
        PYTHONPATH=SITE,
        IMPORTTRACE_FILE=str(trace),
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert trace.read_text().count('"module": "colorsys"') == 1


def test_without_the_package_it_is_one_line(other: tuple[Path, Path]) -> None:
    """importtrace was uninstalled and the start-up files stayed."""
    executable, packages = other
    run(sys.executable, "-m", "importtrace.inject", "--install", "--dir", str(packages))
    (packages / "_importtrace.pth").unlink()
    result = run(executable, "-c", "print('ran')", IMPORTTRACE="1")
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert result.stderr.startswith("importtrace: not started, the program runs untraced: ")
    assert result.stderr.count("\n") == 1


def test_remove_takes_out_what_install_wrote(other: tuple[Path, Path]) -> None:
    """And only that; a second time there is nothing to do."""
    _, packages = other
    before = {path.name for path in packages.iterdir()}
    command = (sys.executable, "-m", "importtrace.inject")
    run(*command, "--install", "--dir", str(packages))
    removed = run(*command, "--remove", "--dir", str(packages))
    assert removed.stdout.count("removed ") == 3
    assert {path.name for path in packages.iterdir()} == before
    again = run(*command, "--remove", "--dir", str(packages))
    assert (again.returncode, again.stdout) == (0, "nothing to remove\n")


def test_a_directory_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    """Exit code 2, and what to give instead."""
    result = run(
        sys.executable, "-m", "importtrace.inject", "--install", "--dir", str(tmp_path / "no")
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "--dir" in result.stderr


def test_the_directory_for_pythonpath_is_printed() -> None:
    """For a Dockerfile or a unit file to take it from."""
    result = run(sys.executable, "-m", "importtrace.inject", "--path")
    assert result.stdout == SITE + "\n"
    assert (Path(SITE) / "sitecustomize.py").is_file()
