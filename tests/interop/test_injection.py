"""Injection by PYTHONPATH: the program is traced, and can tell only by ``importtrace.*`` itself."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from importtrace.inject import SITE

PACKAGE = Path(SITE).parent.parent

# What a program can see of how it was started. Taken out of sys.modules are ours, and those that
# are compiled into the interpreter, which nothing of the program's can be.
FACTS = """
import sys
builtin = set(sys.builtin_module_names)
modules = sorted(n for n in set(sys.modules) - builtin if n.partition(".")[0] != "importtrace")
site = sys.modules.get("sitecustomize")
print(repr({
    "modules": modules, "path": sys.path, "argv": sys.argv, "flags": str(sys.flags),
    "cached": sorted(p for p in sys.path_importer_cache if "inject" in p),
    "sitecustomize": site and site.__file__, "meta_path": len(sys.meta_path) - len(OURS),
    "hooks": len(sys.path_hooks),
}))
""".replace("OURS", "[f for f in sys.meta_path if type(f).__module__.startswith('importtrace')]")
TRACED = "import sys; print('importtrace' in sys.modules)"


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that would trace, plus ``extra``."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONPATH" and not key.startswith(("IMPORTTRACE", "OTEL_", "COVERAGE_"))
    }
    return {**kept, **extra}


def on(path: str = SITE, **extra: str) -> dict[str, str]:
    """An environment that injects, without log lines."""
    return environment(IMPORTTRACE="1", IMPORTTRACE_LOG="off", PYTHONPATH=path, **extra)


def python(
    executable: str | Path, *arguments: str, env: dict[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(executable), *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter in whose environment nothing is installed, importtrace neither."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site_packages(executable: Path) -> Path:
    shown = python(
        executable,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        env=environment(),
    )
    return Path(shown.stdout.strip())


def headers(folder: Path) -> list[dict[str, object]]:
    """The first line of each trace file in ``folder``."""
    return [json.loads(path.read_text().splitlines()[0]) for path in sorted(folder.iterdir())]


def test_a_program_sees_nothing_but_importtrace_itself(bare: Path) -> None:
    """sys.path, sys.modules, argv, flags and finders are as in an untraced run."""
    without = python(bare, "-c", FACTS, "a", "b", env=environment())
    traced = python(bare, "-c", FACTS, "a", "b", env=on())
    assert traced.stderr == without.stderr == ""
    assert traced.stdout == without.stdout
    assert python(bare, "-c", TRACED, env=on()).stdout == "True\n"


def test_the_users_own_pythonpath_is_kept(bare: Path, tmp_path: Path) -> None:
    """Only our directory goes; what the user put on PYTHONPATH stays in its place."""
    without = python(bare, "-c", FACTS, env=environment(PYTHONPATH=str(tmp_path)))
    for path in (f"{SITE}{os.pathsep}{tmp_path}", f"{tmp_path}{os.pathsep}{SITE}{os.sep}"):
        assert python(bare, "-c", FACTS, env=on(path)).stdout == without.stdout


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", " 1 "])
def test_values_that_switch_it_on(value: str, bare: Path) -> None:
    """1, true, yes and on, in any case."""
    result = python(bare, "-c", TRACED, env={**on(), "IMPORTTRACE": value})
    assert (result.stdout, result.stderr) == ("True\n", "")


@pytest.mark.parametrize("value", [None, "", "0", "false", "No", "off"])
def test_off_means_that_nothing_of_ours_is_imported(value: str | None, bare: Path) -> None:
    """The directory may stay on PYTHONPATH of programs that are not to be traced."""
    env = on()
    del env["IMPORTTRACE"]
    if value is not None:
        env["IMPORTTRACE"] = value
    result = python(bare, "-c", TRACED, env=env)
    assert (result.stdout, result.stderr) == ("False\n", "")
    assert (
        python(bare, "-c", FACTS, env=env).stdout
        == python(bare, "-c", FACTS, env=environment()).stdout
    )


def test_a_value_that_means_nothing_is_said_in_one_line(bare: Path) -> None:
    """A typing error in the switch is not taken for a yes, nor passed over."""
    result = python(bare, "-c", TRACED, env={**on(), "IMPORTTRACE": "maybe"})
    assert result.stdout == "False\n"
    assert result.stderr.count("\n") == 1
    assert "IMPORTTRACE='maybe'" in result.stderr


def test_the_users_sitecustomize_runs_and_is_the_module(bare: Path, tmp_path: Path) -> None:
    """It runs once, sees sys.path as without us, and its imports are recorded."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, colorsys\nprint(__name__, __file__, sys.path, __spec__.origin)\n"
    )
    path = str(tmp_path)
    trace = tmp_path / "t.jsonl"
    without = python(bare, "-c", FACTS, env=environment(PYTHONPATH=path))
    traced = python(
        bare, "-c", FACTS, env=on(f"{SITE}{os.pathsep}{path}", IMPORTTRACE_FILE=str(trace))
    )
    assert without.stdout.count("sitecustomize.py") == 3
    assert (traced.stdout, traced.stderr) == (without.stdout, without.stderr)
    records = [json.loads(line) for line in trace.read_text().splitlines()[1:]]
    loads = {record["module"]: record for record in records if record["kind"] == "load"}
    assert loads["colorsys"]["importer"]["file"] == str(tmp_path / "sitecustomize.py")


def test_the_sitecustomize_of_a_venv_runs(bare: Path, tmp_path: Path) -> None:
    """One in site-packages is found behind the standard library, as without us."""
    own = site_packages(bare) / "sitecustomize.py"
    own.write_text("import sys; sys.stderr.write('venv\\n')\n")
    try:
        without = python(bare, "-c", FACTS, env=environment())
        traced = python(bare, "-c", FACTS, env=on())
    finally:
        own.unlink()
    assert without.stderr == "venv\n"
    assert (traced.stdout, traced.stderr) == (without.stdout, without.stderr)


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('mine')",
        "import not_there_at_all",
        "raise ImportError('odd', name='sitecustomize')",
        "raise SystemExit(5)",
        "def broken(:",
    ],
)
def test_a_failing_sitecustomize_fails_as_without_us(body: str, bare: Path, tmp_path: Path) -> None:
    """The same line on stderr, the same exit code, and the program runs if it would have."""
    (tmp_path / "sitecustomize.py").write_text(body + "\n")
    path = str(tmp_path)
    without = python(bare, "-c", FACTS, env=environment(PYTHONPATH=path))
    traced = python(bare, "-c", FACTS, env=on(f"{SITE}{os.pathsep}{path}"))
    assert traced.returncode == without.returncode
    assert traced.stdout == without.stdout
    if without.returncode == 0:
        assert traced.stderr == without.stderr
    else:  # the interpreter shows its whole stack there, importing frames included
        assert traced.stderr.splitlines()[-1] == without.stderr.splitlines()[-1]


def test_an_absent_sitecustomize_is_no_failure_in_the_trace(bare: Path, tmp_path: Path) -> None:
    """That there is none is our doing as little as the program's."""
    trace = tmp_path / "t.jsonl"
    assert python(bare, "-c", "pass", env=on(IMPORTTRACE_FILE=str(trace))).returncode == 0
    records = [json.loads(line) for line in trace.read_text().splitlines()[1:]]
    assert [record for record in records if record["outcome"] == "failed"] == []
    assert "sitecustomize" not in {record["module"] for record in records}


def test_usercustomize_runs(tmp_path: Path) -> None:
    """It belongs to the user, and site imports it after us. (Virtual environments have none.)"""
    base = getattr(sys, "_base_executable", sys.executable)
    (tmp_path / "usercustomize.py").write_text("import sys; sys.stderr.write('user\\n')\n")
    path = str(tmp_path)
    without = python(base, "-c", FACTS, env=environment(PYTHONPATH=path))
    traced = python(base, "-c", FACTS, env=on(f"{SITE}{os.pathsep}{path}"))
    assert (traced.stdout, traced.stderr) == (without.stdout, without.stderr)
    assert without.stderr == "user\n"


def test_a_copy_without_dependencies_traces(bare: Path, tmp_path: Path) -> None:
    """Mounted into a container, with PYTHONPATH to its own directory alone, it finds itself."""
    copy = tmp_path / "mounted" / "importtrace"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    traces = tmp_path / "traces"
    traces.mkdir()
    env = on(str(copy / "inject" / "site"), IMPORTTRACE_FILE=str(traces / "{pid}.jsonl"))
    code = (
        "import sys, json, importtrace; print("
        "importtrace.__file__, importtrace.trace().header['pid'],"
        " str(sys.path).count('mounted'), str(list(sys.path_importer_cache)).count(repr('MOUNT')))"
    ).replace("MOUNT", str(copy.parent))
    result = python(bare, "-c", code, env=env)
    assert result.stderr == ""
    file, pid, on_path, cached = result.stdout.split()
    assert (file, on_path, cached) == (str(copy / "__init__.py"), "0", "0")
    assert [header["pid"] for header in headers(traces)] == [int(pid)]


@pytest.mark.parametrize(
    "source",
    [
        "raise ImportError('half\\n a thing')",
        "def install(): raise RuntimeError('no')",
        "def broken(:",
        "",
    ],
)
def test_a_broken_importtrace_costs_one_line(source: str, bare: Path, tmp_path: Path) -> None:
    """Half an upload of the package must not keep a service from starting."""
    (tmp_path / "importtrace").mkdir()
    (tmp_path / "importtrace" / "__init__.py").write_text(source + "\n")
    result = python(bare, "-c", "print('ran')", env=on(f"{SITE}{os.pathsep}{tmp_path}"))
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert result.stderr.startswith("importtrace: not started, the program runs untraced: ")
    assert result.stderr.count("\n") == 1


def test_half_a_copy_of_the_directory_costs_one_line(bare: Path, tmp_path: Path) -> None:
    """Only the file that Python looks for was copied."""
    shutil.copy(Path(SITE) / "sitecustomize.py", tmp_path)
    result = python(bare, "-c", "print('ran')", env=on(str(tmp_path)))
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert result.stderr.startswith("importtrace: not started: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_interpreters_told_to_ignore_the_environment_are_not_traced(flag: str, bare: Path) -> None:
    """These flags mean that no such variable may have an effect; we do not get round them."""
    result = python(bare, flag, "-c", TRACED, env=on())
    assert (result.stdout, result.stderr) == ("False\n", "")


def test_children_are_traced_each_once(bare: Path, tmp_path: Path) -> None:
    """The variables stay in the environment, so a child interpreter is injected like its parent."""
    code = (
        "import os, subprocess, sys; print(os.getpid(), flush=True);"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], check=True)"
    )
    result = python(bare, "-c", code, env=on(IMPORTTRACE_FILE=str(tmp_path / "{pid}.jsonl")))
    assert result.stderr == ""
    parent, child = map(int, result.stdout.split())
    found = {header["pid"]: header["parent_pid"] for header in headers(tmp_path)}
    assert set(found) == {parent, child}
    assert found[child] == parent


def test_a_child_does_not_overwrite_its_parents_file(bare: Path, tmp_path: Path) -> None:
    """A name without {pid} is the first process's; a child puts its pid before the suffix."""
    code = (
        "import os, subprocess, sys; print(os.getpid(), flush=True);"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], check=True)"
    )
    result = python(bare, "-c", code, env=on(IMPORTTRACE_FILE=str(tmp_path / "t.jsonl")))
    parent, child = map(int, result.stdout.split())
    assert {path.name for path in tmp_path.iterdir()} == {"t.jsonl", f"t.{child}.jsonl"}
    assert json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])["pid"] == parent


def old_interpreter(version: str) -> str:
    """An interpreter that importtrace does not support, from PATH or pyenv; else skips."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    pattern = os.path.join(root, "versions", version + "*", "bin", "python")
    for candidate in [shutil.which("python" + version), *sorted(glob.glob(pattern))]:
        if candidate and python(candidate, "-c", "", env=environment()).returncode == 0:
            return candidate
    pytest.skip(f"no Python {version} on PATH or under pyenv")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_older_pythons_pass_it_by_quietly(version: str, tmp_path: Path) -> None:
    """Any Python that inherits the variables runs its program and its own sitecustomize."""
    executable = old_interpreter(version)
    quiet = environment(PYTHONDONTWRITEBYTECODE="1")
    traced = {**quiet, "IMPORTTRACE": "1", "PYTHONPATH": SITE}
    assert python(executable, "-c", FACTS, env=traced).stdout == (
        python(executable, "-c", FACTS, env=quiet).stdout
    )
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stdout.write('own\\n')\n")
    traced["PYTHONPATH"] += os.pathsep + str(tmp_path)
    result = python(executable, "-c", "print('ran')", env=traced)
    assert (result.stdout, result.stderr) == ("own\nran\n", "")
