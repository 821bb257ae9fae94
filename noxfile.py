"""The task runner. ``python dev.py TASK`` or ``make TASK`` set nox up and call this."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import dev  # noqa: E402  the list of interpreters has one home

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = True

FOUND = dev.interpreters()
# A machine with, say, only 3.14 tests what it has.
TESTED = FOUND or {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
MAIN = TESTED.get("3.12") or next(iter(TESTED.values()))
GROUPS = nox.project.load_toml(HERE / "pyproject.toml")

_wheels: list[Path] = []


def group(name: str) -> list[str]:
    """The requirements of one dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(GROUPS, name))


def wheel(session: nox.Session) -> str:
    """The wheel of this work tree, built once a run."""
    if not _wheels:
        folder = HERE / "dist"
        shutil.rmtree(folder, ignore_errors=True)
        build = ["python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
        session.run(*build, str(HERE))
        _wheels.extend(folder.glob("importtrace-*.whl"))
    return str(_wheels[0])


def install(session: nox.Session, *requirements: str) -> None:
    """The wheel, never ``src``, so that what is tested is what is shipped."""
    # without --force-reinstall a venv that nox keeps would keep last hour's wheel of this version
    session.install("--quiet", "--force-reinstall", "--no-deps", wheel(session))
    session.install("--quiet", wheel(session), *requirements)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Builds the wheel and tests it on every interpreter found among 3.11, 3.12, 3.13."""
    missing = [version for version in dev.TESTED if version not in FOUND]
    if missing:
        session.warn(f"not found here, so not tested: Python {', '.join(missing)}")
    for version in TESTED:
        session.notify(f"tests-{version}", posargs=session.posargs)


def _tests(session: nox.Session) -> None:
    install(session, *group("test"))
    session.run("pytest", "-m", "not integration and not stress", *session.posargs)


for _version, _path in TESTED.items():
    nox.session(_tests, python=_path, name=f"tests-{_version}", default=False)


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """ruff, mypy --strict, and the layers of docs/architecture.md."""
    session.install("--quiet", "--editable", str(HERE), *group("lint"), *group("test"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", "--no-logo")


@nox.session(python=MAIN)
def integration(session: nox.Session) -> None:
    """Real servers: gunicorn, uvicorn, Django, receivers of OTLP."""
    install(session, *group("test"))
    session.run("pytest", "-m", "integration", *session.posargs)


@nox.session(python=MAIN)
def stress(session: nox.Session) -> None:
    """Thousands of faults in our own code, hundreds of rounds of threads."""
    install(session, *group("test"))
    session.run("pytest", "tests/stress", "tests/threads", "-m", "stress", *session.posargs)


@nox.session(python=MAIN)
def containers(session: nox.Session) -> None:
    """Pods of deploy/ run by podman. Not in CI: needs root, podman, catatonit, runc, mmdebstrap."""
    install(session, *group("test"))
    tests = ["pytest", "tests/deploy/test_containers.py", *session.posargs]
    session.run(*tests, env={"IMPORTTRACE_TEST_CONTAINERS": "1"})


@nox.session(python=MAIN)
def bench(session: nox.Session) -> None:
    """The costs in one table, as ratios of one run."""
    install(session, *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=MAIN)
def demo(session: nox.Session) -> None:
    """Installs importtrace as a user would, and shows what it is for."""
    install(session)
    session.run("importtrace", "demo", *session.posargs)


@nox.session(python=MAIN)
def interpreters(session: nox.Session) -> None:
    """The tests on Debian's 3.13, 3.14 and 3.15, in a sandbox that leaves the system as it is."""
    session.run("python", "tools/interpreters.py", "--wheel", wheel(session), *session.posargs)
