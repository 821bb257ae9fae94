"""Small projects that build backends install in editable mode, and one in a zip file.

`MADE[name](folder, python)` writes the project and installs it into python's environment.
"""

import os
import subprocess
import zipfile
from pathlib import Path

LEAF = "from {name} import BASE\n\nVALUE = BASE + 1\n"


class NotMade(Exception):
    """pip could not build or install the project; its last line."""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def package(name: str, below: str = "") -> dict[str, str]:
    """A package with one module in it, and a namespace package beside it."""
    return {
        f"{below}{name}/__init__.py": "BASE = 41\n",
        f"{below}{name}/leaf.py": LEAF.format(name=name),
    }


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # the build tools of an environment are commands: ninja, cmake
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=1800, env=env
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        told = [line for line in lines if line.lower().startswith("error")]
        raise NotMade((told or lines or ["no message"])[-1])


def editable(python: Path, folder: Path, *requires: str) -> None:
    """Without build isolation: what the backend needs at import time must be in the environment."""
    if requires:
        pip(python, *requires)
    pip(python, "--no-build-isolation", "--no-deps", "--editable", str(folder))


def project(name: str, backend: str, requires: str) -> str:
    return (
        f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{backend}"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
    )


def setuptools_finder(folder: Path, python: Path) -> None:
    """Two top-level packages in a flat folder: setuptools maps them by a finder."""
    text = project("acme-setuptools", "setuptools.build_meta", "setuptools")
    text += '[tool.setuptools]\npackages = ["acme_setuptools"]\n'
    text += '[tool.setuptools.package-dir]\nacme_setuptools = "lib/elsewhere"\n'
    files = {key.replace("acme_setuptools", "lib/elsewhere"): value
             for key, value in package("acme_setuptools").items()}  # fmt: skip
    write(folder, {"pyproject.toml": text, **files})
    editable(python, folder, "setuptools<81", "wheel")


def setuptools_path(folder: Path, python: Path) -> None:
    text = project("acme-layout", "setuptools.build_meta", "setuptools")
    write(folder, {"pyproject.toml": text, **package("acme_layout", "src/")})
    editable(python, folder, "setuptools<81", "wheel")


def hatchling_finder(folder: Path, python: Path) -> None:
    text = project("acme-hatchling", "hatchling.build", "hatchling")
    text += "[tool.hatch.build]\ndev-mode-exact = true\n"
    text += '[tool.hatch.build.targets.wheel]\npackages = ["acme_hatchling"]\n'
    write(folder, {"pyproject.toml": text, **package("acme_hatchling")})
    editable(python, folder, "hatchling", "editables")


def meson(folder: Path, python: Path) -> None:
    build = "project('acme-meson', version: '1.0')\npy = import('python').find_installation()\n"
    build += (
        "py.install_sources('acme_meson/__init__.py', 'acme_meson/leaf.py', subdir: 'acme_meson')\n"
    )
    text = project("acme-meson", "mesonpy", "meson-python")
    write(folder, {"pyproject.toml": text, "meson.build": build, **package("acme_meson")})
    editable(python, folder, "meson-python", "ninja")


def scikit_build(folder: Path, python: Path) -> None:
    build = "cmake_minimum_required(VERSION 3.15)\nproject(acme_scikit LANGUAGES NONE)\n"
    text = project("acme-scikit", "scikit_build_core.build", "scikit-build-core")
    write(
        folder, {"pyproject.toml": text, "CMakeLists.txt": build, **package("acme_scikit", "src/")}
    )
    editable(python, folder, "scikit-build-core", "cmake", "ninja", "pathspec")


def zipped(folder: Path, python: Path) -> None:
    """No backend makes zipped installations any more; a path file names the archive, as eggs had it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "acme_zipped-1.0-py3.egg"
    with zipfile.ZipFile(archive, "w") as out:
        for name, text in package("acme_zipped").items():
            out.writestr(name, text)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-c", where], capture_output=True, text=True, check=True)
    (Path(done.stdout.strip()) / "acme_zipped.pth").write_text(f"{archive}\n")


MADE = {
    "setuptools_finder": setuptools_finder,
    "setuptools_path": setuptools_path,
    "hatchling_finder": hatchling_finder,
    "meson": meson,
    "scikit_build": scikit_build,
    "zipped": zipped,
}
