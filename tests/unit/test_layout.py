"""What is shipped, and what a bare import of its parts loads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import importtrace

PACKAGE = Path(importtrace.__file__).parent
ROOT = Path(__file__).parents[2]


def _shipped() -> list[str]:
    """The files of the installed wheel; without one there is nothing to look at."""
    distribution = metadata.distribution("importtrace")
    if (distribution.read_text("direct_url.json") or "").find('"editable": true') >= 0:
        pytest.skip("importtrace is installed editable; `make test` installs the wheel")
    return [str(path) for path in distribution.files or []]


def _files(folder: Path, shipped_as: str) -> set[str]:
    return {
        f"{shipped_as}/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_package_and_nothing_else() -> None:
    """Every source file of the work tree is shipped; tests, benchmarks and tools are not."""
    shipped = [name for name in _shipped() if "__pycache__" not in name]
    wanted = _files(ROOT / "src" / "importtrace", "importtrace")
    for example in ("warmup_race", "classics"):
        wanted |= _files(ROOT / "examples" / example, f"importtrace/_examples/{example}")
    package = {name for name in shipped if name.startswith("importtrace/")}
    assert wanted == package
    others = {name for name in shipped if not name.startswith("importtrace/")}
    scripts = {name for name in others if re.search(r"(bin|Scripts)/importtrace(\.exe)?$", name)}
    assert len(scripts) == 1
    beside = {"_importtrace_pytest.py"}  # what pytest loads
    assert beside <= others
    assert all(".dist-info/" in name for name in others - scripts - beside)
    assert "importtrace/py.typed" in package


def test_what_is_tested_is_what_is_installed() -> None:
    """The tests never import importtrace from src by accident, which would hide a missing file."""
    _shipped()
    assert PACKAGE.parent != ROOT / "src"


def test_version_is_said_once() -> None:
    """`importtrace.__version__` is the distribution's."""
    assert importtrace.__version__ == metadata.version("importtrace")


def _loaded(statements: str, *options: str) -> list[str]:
    """Modules that ``statements`` load in a fresh interpreter, built-in C modules aside."""
    code = (
        f"import sys; sys.path.append({str(PACKAGE.parent)!r}); known = set(sys.modules)\n"
        f"{statements}\n"
        "new = sorted(n for n in set(sys.modules) - known if n not in sys.builtin_module_names)\n"
        "import json; print(json.dumps(new))"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


HOT = [
    "_compat",
    "_facts",
    "_failures",
    "_finder",
    "_hooks",
    "_probes",
    "_recorder",
    "config",
    "errors",
    "session",
    "analysis.causes",
    "analysis.render",
    "analysis.statements",
    "integrations",
]


@pytest.mark.parametrize("name", HOT)
def test_what_runs_inside_an_import_is_free_of_the_standard_library(name: str) -> None:
    """In a bare interpreter it loads our own files alone: what we load, we hide from the trace."""
    loaded = _loaded(f"import importtrace.{name}", "-I", "-S")
    assert f"importtrace.{name}" in loaded
    assert [module for module in loaded if module.partition(".")[0] != "importtrace"] == []


def test_no_dependency_is_loaded_before_it_is_used() -> None:
    """importing, installing and uninstalling loads none of the packages that the exporters need."""
    loaded = _loaded("import importtrace; importtrace.install(log='off', spans='off').uninstall()")
    heavy = {"wrapt", "structlog", "opentelemetry", "grpc", "asyncio", "ssl", "logging"}
    assert heavy & {module.partition(".")[0] for module in loaded} == set()


def test_private_names_of_importlib_have_one_home() -> None:
    """`_compat.py` alone knows `_frozen_importlib` and asks for the version of Python."""
    for source in PACKAGE.rglob("*.py"):
        parts = source.relative_to(PACKAGE).parts
        # start-up code, and the worker's first lines, run on any Python with nothing of ours imported
        if parts in (("_compat.py",), ("race", "worker.py")) or parts[:2] == ("inject", "site"):
            continue
        text = source.read_text(encoding="utf-8")
        found = re.findall(r"import _frozen_importlib\w*|sys\.version_info *[<>=]", text)
        assert found == [], f"{source.name}: {found}"
