"""The tests on Python 3.13, 3.14 and 3.15 as Debian has them, in a sandbox that changes no system.

    python tools/interpreters.py                              # all three, all tests that need no server
    python tools/interpreters.py --only 3.15 tests/causes -x  # the rest goes to pytest

``mmdebstrap`` unpacks the interpreters into ``.nox/debian`` (once: a minute, 400 MB), ``bwrap``
runs them there without network; wheels come in through this interpreter's own pip, so however that
is set up. Neither needs root where user namespaces are allowed. Where one of them is missing, one
line says so and the exit code is 0; else it is that of the first pytest that failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FOLDER = HERE / ".nox" / "debian"
VERSIONS = ("3.13", "3.14", "3.15")
PACKAGES = (
    *("base-files", "dash", "coreutils"),
    *(f"python{version}-venv" for version in VERSIONS),
    *(f"libpython{version}-testsuite" for version in VERSIONS),  # tools/cpython_tests.py
)
TESTS = ("tests/causes", "tests/unit", "tests/threads", "tests/interop")


class Unavailable(Exception):
    """Says in one line what this machine lacks."""


def check() -> None:
    """Raises Unavailable where the programs needed are not installed, or may not do their work."""
    missing = [name for name in ("mmdebstrap", "bwrap") if shutil.which(name) is None]
    if missing:
        raise Unavailable(
            f"Debian's interpreters not tested: {' and '.join(missing)} missing "
            "(Debian and Ubuntu: apt-get install mmdebstrap bubblewrap)"
        )
    tried = subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    if tried.returncode:
        raise Unavailable(f"Debian's interpreters not tested: {_last_line(tried.stderr)}")


def mirror() -> list[str]:
    """The archive that apt is set up with here, as a sources line; none: mmdebstrap's default."""
    for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            uri = value.strip().split(" ")[0].rstrip("/")
            if key == "URIs" and uri.endswith("/debian"):
                return [f"deb {uri} sid main"]
    return []


def make_root(folder: Path) -> None:
    """Unpacks the interpreters into ``folder/root``, once. Raises Unavailable."""
    done = folder / "complete"
    if done.exists() and done.read_text() == ",".join(PACKAGES):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tried = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}"),
            # an archive that is mirrored now and then is always "too old"
            *('--aptopt=Acquire::Check-Valid-Until "false"', "sid", str(folder / "root")),
            *mirror(),
        ],
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        last = _last_line(tried.stderr)
        raise Unavailable(f"Debian's interpreters not tested: mmdebstrap failed: {last}")
    # Debian's pip wants the system's certificates even to read local files.
    where = "import pip._vendor.certifi as certifi; print(certifi.where())"
    bundle = subprocess.run(
        [sys.executable, "-c", where], capture_output=True, text=True, check=True
    ).stdout.strip()
    certificates = folder / "root" / "etc" / "ssl" / "certs"
    certificates.mkdir(parents=True, exist_ok=True)
    shutil.copy(bundle, certificates / "ca-certificates.crt")
    for (
        version
    ) in VERSIONS:  # nothing can be written there later; some files of the tests do not compile
        compiling = ("-m", "compileall", "-q", f"/usr/lib/python{version}")
        inside = ("bwrap", "--bind", str(folder / "root"), "/", "--proc", "/proc", "--dev", "/dev")
        subprocess.run([*inside, f"/usr/bin/python{version}", *compiling], capture_output=True)
    done.write_text(",".join(PACKAGES))


def sandbox(folder: Path, *more: str) -> list[str]:
    """The start of a command that runs inside; the repository is at its own path, read-only."""
    for path in (HERE, folder):  # bwrap makes no mount point in a read-only root
        (folder / "root" / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
    return [
        *("bwrap", "--ro-bind", str(folder / "root"), "/", "--proc", "/proc", "--dev", "/dev"),
        *("--tmpfs", "/tmp", "--ro-bind", str(HERE), str(HERE), "--bind", str(folder), str(folder)),
        *("--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp"),
        *("--setenv", "LANG", "C.UTF-8", "--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
        *("--setenv", "HYPOTHESIS_STORAGE_DIRECTORY", "/tmp/hypothesis"),
        *("--unshare-net", "--die-with-parent", "--chdir", str(HERE), *more),
    ]


def make_venv(folder: Path, version: str, wheel: Path) -> Path:
    """A fresh environment with the wheel and the test requirements; returns its interpreter."""
    wheels, venv = folder / f"wheels-{version}", folder / f"venv-{version}"
    for old in (wheels, venv):
        shutil.rmtree(old, ignore_errors=True)
    groups = tomllib.loads((HERE / "pyproject.toml").read_text())["dependency-groups"]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    foreign = ("--python-version", version, "--implementation", "cp", "--only-binary=:all:")
    _run(*pip, "download", "--quiet", "--dest", str(wheels), *foreign, str(wheel), *groups["test"])
    _run(*sandbox(folder), f"/usr/bin/python{version}", "-m", "venv", str(venv))
    files = [str(path) for path in sorted(wheels.glob("*.whl"))]
    python = venv / "bin" / "python"
    _run(*sandbox(folder), str(python), "-m", "pip", "install", "--quiet", "--no-index", *files)
    return python


def test(folder: Path, version: str, wheel: Path, arguments: list[str]) -> int:
    """pytest's exit code on that version."""
    python = make_venv(folder, version, wheel)
    pytest = ("-m", "pytest", "-p", "no:cacheprovider", "-m", "not integration")
    chosen = arguments if any(not one.startswith("-") for one in arguments) else list(TESTS)
    extra = [one for one in arguments if one not in chosen]
    return subprocess.run([*sandbox(folder), str(python), *pytest, *extra, *chosen]).returncode


def make_wheel(folder: Path) -> Path:
    """The wheel of this work tree."""
    target = folder / "dist"
    shutil.rmtree(target, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    _run(*pip, "--wheel-dir", str(target), str(HERE))
    return next(target.glob("importtrace-*.whl"))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=VERSIONS, metavar="VERSION")
    parser.add_argument("--wheel", type=Path, help="the wheel to test; else it is built")
    options, arguments = parser.parse_known_args()
    try:
        check()
        make_root(FOLDER)
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 0
    wheel = options.wheel or make_wheel(FOLDER)
    codes = []
    for version in options.only or VERSIONS:
        print(f"Python {version}:", flush=True)
        codes.append(test(FOLDER, version, wheel, arguments))
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
