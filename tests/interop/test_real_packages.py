"""Real packages as they are: the program is the same, the trace is complete, and its times add up.

The packages of tools/real_packages.toml in an environment of their own are `integration`; those that the
test environment has anyway are compared in the fast suite.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import pytest

import importtrace

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))

import real_packages
from real_packages import Package
from real_packages_projects import NotMade

LISTED = [package for package in real_packages.packages() if not package.optional]
AT_HAND = ("pytest", "hypothesis", "wrapt", "structlog", "opentelemetry-sdk", "six")

PLACE = str(Path(importtrace.__file__).parent.parent)
PROGRAMS = {
    "boto3": "import boto3\nclient = boto3.client('s3', region_name='eu-west-1', "
    "aws_access_key_id='x', aws_secret_access_key='y')\nprint(client.meta.endpoint_url)\n",
    "pandas": "import pandas\nframe = pandas.DataFrame({'a': [1, 2, 3]})\n"
    "print(frame.a.sum(), frame.to_csv())\n",
}

# In sys.modules without a load, where nothing on the module itself tells so.
BY_HAND = {
    "pyexpat.errors", "pyexpat.model",  # made by pyexpat's C code
    "xml.parsers.expat.errors", "xml.parsers.expat.model",
    "atexit",  # built-in, taken by install() itself
}  # fmt: skip


def check(python: str | Path, package: Package, modes: tuple[str, ...]) -> None:
    """Nothing differs, in no mode, and each module that is loaded has its load."""
    result = real_packages.compare(python, package, modes)
    assert result.not_run is None, result.not_run
    assert result.modules > 0
    for mode in modes:
        assert not result.different[mode], f"mode {mode}:\n" + "\n".join(result.different[mode])
        assert not result.untraced[mode], f"mode {mode} has no load of {result.untraced[mode]}"


def test_packages_at_hand_are_imported_as_without_us() -> None:
    """sys.modules, its order, and all of every module's spec, loader, files, names; warnings; output."""
    present = [one for one in LISTED if one.name in AT_HAND and _installed(one)]
    assert {"pytest", "hypothesis", "wrapt", "structlog"} <= {one.name for one in present}
    together = Package("at hand", "\n".join(one.run for one in present), "", ())
    check(sys.executable, together, ("auto", "finder"))


def _installed(package: Package) -> bool:
    import importlib.metadata

    try:
        return bool(importlib.metadata.version(package.name))
    except importlib.metadata.PackageNotFoundError:
        return False


def test_a_difference_is_found() -> None:
    """The comparison sees a module more, another order, another loader, name, warning and exit code."""
    from copy import deepcopy
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        plain = real_packages.observe(sys.executable, "import json, colorsys", None, folder)
    plain.header = {"type": "trace"}
    assert real_packages.differences(plain, deepcopy(plain), set(), set()) == []
    other = deepcopy(plain)
    last = other.facts.pop("colorsys")
    other.facts = {"colorsys": last, "more": {"type": "x", "new": True}, **other.facts}
    last["__loader__"] = ["another"]
    last["names"].append("one_more")
    other.err, other.code = "Warning", 1
    found = "\n".join(real_packages.differences(plain, other, set(), set()))
    for part in (
        "sys.modules: more ['more']",
        "colorsys __loader__",
        "colorsys names",
        "err:",
        "code:",
    ):
        assert part in found
    moved = deepcopy(plain)
    moved.facts = dict(reversed(moved.facts.items()))
    (line,) = real_packages.differences(plain, moved, set(), set())
    assert "in another order" in line
    plain.records = [{"kind": "load", "module": "json", "outcome": "ok"}]
    assert "colorsys" in real_packages.not_traced(plain)
    assert "json" not in real_packages.not_traced(plain)


@pytest.fixture(scope="module")
def environment() -> tuple[Path, dict[str, str]]:
    """The Python of an environment with the packages of the list, and why some are not in it."""
    try:
        return real_packages.environment(LISTED, sys.executable)
    except NotMade as error:
        pytest.skip(f"pip cannot install the packages: {error}")


@pytest.mark.integration
@pytest.mark.parametrize("listed", LISTED, ids=lambda one: one.name.replace(" ", "_"))
def test_a_package_is_imported_as_without_us(
    listed: Package, environment: tuple[Path, dict[str, str]]
) -> None:
    """What the sample compares, for each package of the list by itself, in every mode."""
    python, missing = environment
    if listed.name in missing:
        pytest.skip(f"pip cannot install it: {missing[listed.name]}")
    check(python, listed, real_packages.MODES)


@pytest.fixture(scope="module", params=sorted(PROGRAMS))
def package(request: pytest.FixtureRequest) -> str:
    """The package's name, once an environment has it."""
    return str(request.param)


@pytest.fixture(scope="module")
def interpreter() -> str:
    """The Python of an environment with both packages, made once and kept in the temporary folder."""
    tag = f"importtrace-packages-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder = Path(tempfile.gettempdir()) / f"{tag}-{sys.implementation.cache_tag}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(python), "-m", "pip", "install", "--quiet", *sorted(PROGRAMS)]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=570)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install boto3 and pandas: {reason}")
        complete.touch()
    return str(python)


FACTS = """
import json as _json, sys as _sys
_ours = lambda name: name.partition(".")[0] == "importtrace"
_found = {}
for _name in set(_sys.modules) - _before:
    if not _ours(_name):
        _spec = getattr(_sys.modules[_name], "__spec__", None)
        _found[_name] = getattr(_spec, "name", None)
open(FACTS, "w").write(_json.dumps(_found))
"""


def run(interpreter: str, folder: Path, package: str, mode: str | None) -> dict[str, Any]:
    """Runs the program; ``modules`` maps what is new in sys.modules to the name its spec has."""
    folder.mkdir()
    facts, trace = folder / "facts.json", folder / "trace.jsonl"
    start = ""
    if mode is not None:
        start = (
            f"import importtrace; importtrace.install(mode={mode!r}, log='off', spans='off', "
            f"file={str(trace)!r})"
        )
    (folder / "program.py").write_text(
        f"import json as _json, sys as _sys; _before = set(_sys.modules)\n{start}\n"
        + PROGRAMS[package]
        + FACTS.replace("FACTS", repr(str(facts)))
    )
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("IMPORTTRACE", "OTEL_", "PYTHON", "AWS_"))
    }
    done = subprocess.run(
        [interpreter, "-W", "error::ImportWarning", "program.py"],
        cwd=folder,
        env={**kept, "PYTHONPATH": PLACE},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {"out": done.stdout, "err": done.stderr, "records": []}
    found["modules"] = json.loads(facts.read_text())
    if mode is not None:
        found["header"], *found["records"] = map(json.loads, trace.read_text().splitlines())
    return found


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["auto", "probes"])
def test_the_trace_is_complete_and_its_times_add_up(
    interpreter: str, package: str, mode: str, tmp_path: Path
) -> None:
    """The loads are the new entries of ``sys.modules``; self times sum to each thread's total."""
    plain = run(interpreter, tmp_path / "plain", package, None)
    traced = run(interpreter, tmp_path / "traced", package, mode)
    assert (traced["out"], traced["err"]) == (plain["out"], plain["err"])

    loads = [one for one in traced["records"] if one["kind"] == "load"]
    good = [one for one in loads if one["outcome"] in ("ok", "waited")]
    names = [one["module"] for one in good]
    # put there by the program: no spec, or that of another name
    by_hand = {name for name, of in traced["modules"].items() if of != name} | BY_HAND
    missing = set(traced["modules"]) - set(names) - by_hand
    assert {name for name in missing if not name.startswith("six.moves")} == set()
    assert len(names) > 300

    # and as many as the program loads without us; some packages take modules away again
    left = set(plain["modules"]) - by_hand - set(names)
    assert {name for name in left if not name.startswith("six.moves")} == set()
    assert set(names) - set(plain["modules"]) - {"atexit"} == set()

    assert traced["header"]["dropped"] == 0
    by_thread: dict[int, list[dict[str, Any]]] = {}
    for one in loads:
        by_thread.setdefault(one["thread"]["serial"], []).append(one)
        assert 0 <= one["self_ns"] <= one["duration_ns"]
        parts = sum(one.get(key, 0) for key in ("find_ns", "load_ns", "exec_ns"))
        assert parts <= one["duration_ns"]
    for mine in by_thread.values():
        ids = {one["id"] for one in mine}
        total = sum(one["duration_ns"] for one in mine if one.get("parent") not in ids)
        assert sum(one["self_ns"] for one in mine) == pytest.approx(total, rel=0.01)


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["auto", "probes"])
def test_no_module_is_loaded_twice(
    interpreter: str, package: str, mode: str, tmp_path: Path
) -> None:
    """A module's body runs once, so it has one load that went well."""
    traced = run(interpreter, tmp_path / "traced", package, mode)
    names = [one["module"] for one in traced["records"]
             if one["kind"] == "load" and one["outcome"] in ("ok", "waited")]  # fmt: skip
    assert {name for name in names if names.count(name) > 1} == set()


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["finder"])
def test_public_means_see_every_module_found(
    interpreter: str, package: str, mode: str, tmp_path: Path
) -> None:
    """Mode ``finder`` knows less of each load, and of no fewer loads."""
    plain = run(interpreter, tmp_path / "plain", package, None)
    traced = run(interpreter, tmp_path / "traced", package, mode)
    assert (traced["out"], traced["err"]) == (plain["out"], plain["err"])
    names = {one["module"] for one in traced["records"]}
    by_hand = {name for name, of in plain["modules"].items() if of != name} | BY_HAND
    left = set(plain["modules"]) - names - by_hand
    assert {name for name in left if not name.startswith("six.moves")} == set()
    assert traced["header"]["mode"] == "finder"


@pytest.mark.integration
def test_the_distributions_are_named_with_their_versions(
    interpreter: str, package: str, tmp_path: Path
) -> None:
    """What was seen, by the name pip knows."""
    versions = run(interpreter, tmp_path / "t", package, "auto")["header"]["versions"]
    asked = subprocess.run(
        [interpreter, "-m", "pip", "list", "--format=json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    installed = {one["name"].lower().replace("-", "_"): one["version"]
                 for one in json.loads(asked.stdout)}  # fmt: skip
    assert package in versions
    for name, version in versions.items():
        assert installed[name.lower().replace("-", "_")] == version
