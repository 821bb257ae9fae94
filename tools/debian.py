"""Interpreters newer than the machine's own: Debian's, unpacked into a folder, run by bubblewrap.

Nothing is installed on the system and no root is needed where user namespaces are allowed. The
sandbox sees no network: wheels are downloaded outside, by the machine's own pip as it is set up.
"""

from __future__ import annotations

import glob
import shutil
import subprocess
from pathlib import Path

PACKAGES = "base-files,dash,coreutils,python3.14-venv,python3.15-venv"


class Unavailable(Exception):
    """Says in one line what this machine lacks."""


def check() -> None:
    """Raises Unavailable where the programs needed are not installed."""
    missing = [name for name in ("mmdebstrap", "bwrap") if shutil.which(name) is None]
    if missing:
        raise Unavailable(
            f"Python 3.14 and 3.15 not tested: {' and '.join(missing)} missing "
            "(Debian and Ubuntu: apt-get install mmdebstrap bubblewrap)"
        )


def mirror() -> list[str]:
    """The archive that apt is set up with here, as a sources line; none: mmdebstrap's default."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        fields = dict(
            line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line
        )
        uri = fields.get("URIs", "").split()
        if uri and uri[0].rstrip("/").endswith("/debian"):
            return [f"deb {uri[0]} sid main"]
    return []


def root(folder: Path) -> Path:
    """The folder with Debian's interpreters in it, made once (141 MB, some seconds)."""
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [
            *("mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}"),
            *('--aptopt=Acquire::Check-Valid-Until "false"', "sid", str(folder / "root")),
            *mirror(),
        ]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise Unavailable(f"Python 3.14 and 3.15 not tested: mmdebstrap failed: {last}")
        (folder / "complete").touch()
    return folder


def venv(folder: Path, version: str) -> Path:
    """Where that version's virtual environment is, the same path inside and outside."""
    return folder / f"venv-{version}"


def make_venv(folder: Path, version: str, wheels: Path) -> None:
    """A fresh environment with all of ``wheels``, a folder below ``folder``."""
    shutil.rmtree(venv(folder, version), ignore_errors=True)
    inside = [*sandbox(folder, folder), f"/usr/bin/python{version}"]
    subprocess.run([*inside, "-m", "venv", str(venv(folder, version))], check=True)
    files = [str(path) for path in sorted(wheels.glob("*.whl"))]
    pip = [str(venv(folder, version) / "bin" / "pip"), "install", "--quiet", "--no-index"]
    subprocess.run([*sandbox(folder, folder), *pip, "--no-deps", *files], check=True)


def sandbox(folder: Path, work: Path) -> list[str]:
    """The start of a command that runs inside, with ``work`` writable at its own path."""
    # the root is mounted read-only: what is to be mounted in it needs its place there before
    (folder / "root" / work.relative_to("/")).mkdir(parents=True, exist_ok=True)
    return [
        *("bwrap", "--ro-bind", str(folder / "root"), "/", "--proc", "/proc", "--dev", "/dev"),
        # Debian's pip reads the certificates, even with nothing to fetch
        *("--ro-bind-try", "/etc/ssl", "/etc/ssl", "--tmpfs", "/tmp", "--tmpfs", "/root"),
        *("--bind", str(work), str(work), "--chdir", str(work)),
        *("--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/root"),
        *("--setenv", "LANG", "C.UTF-8", "--unshare-net", "--die-with-parent"),
    ]
