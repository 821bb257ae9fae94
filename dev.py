#!/usr/bin/env python3
"""Set-up and tasks with nothing but Python: ``python dev.py demo``, ``python dev.py test``.

Makes ``.venv`` with nox in it, once, and hands the task to ``noxfile.py``, which takes the list
of interpreters from here. It is written for Python 3.6 or later, so that an old ``python`` on the
PATH still finds a newer one, and imports nothing but the standard library.
"""

import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
STAMP = os.path.join(VENV, "importtrace-dev")  # written last: a half-made .venv has none
NOX = "nox>=2025.2.9"
WINDOWS = os.name == "nt"

TASKS = {
    "demo": "shows on a small program how threads break imports, and what importtrace says",
    "test": "builds the wheel and tests it on every Python 3.11, 3.12, 3.13 found here",
    "lint": "ruff, mypy --strict, the layers between the modules",
    "integration": "real servers: gunicorn, uvicorn, Django, receivers of OTLP",
    "stress": "thousands of faults in our own code, hundreds of rounds of 64 threads (an hour)",
    "bench": "the costs in one table; instruction counts need valgrind",
    "interpreters": "the tests on Python 3.14 and 3.15 (Debian: mmdebstrap, bubblewrap)",
}
SESSIONS = {"test": "tests"}

TESTED = ("3.11", "3.12", "3.13")
LATER = ("3.14", "3.15")

# Answers only where the interpreter is whole: one without zlib or ssl cannot install anything.
PROBE = (
    "import sys, ssl, zlib, sysconfig;"
    "ok = sys.implementation.name == 'cpython' and not sysconfig.get_config_var('Py_GIL_DISABLED');"
    "print('%d.%d' % sys.version_info[:2] if ok else 'unfit')"
)


def _folders():
    """Folders that may hold interpreters: PATH, pyenv's, uv's; the newest patch release first."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield folder.strip('"')
    home = os.path.expanduser("~")
    pyenv = os.environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    if WINDOWS:
        pyenv = os.path.join(pyenv, "pyenv-win")
        data = os.environ.get("APPDATA", data)
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv", "python")
    for parent in (os.path.join(pyenv, "versions"), uv):
        homes = glob.glob(os.path.join(glob.escape(parent), "*"))
        for found in sorted(homes, key=_natural, reverse=True):
            yield found if WINDOWS else os.path.join(found, "bin")


def _natural(path):
    """Sorts 3.12.10 after 3.12.9."""
    digits = "".join(c if c.isdigit() else " " for c in os.path.basename(path))
    return [int(part) for part in digits.split()]


def _version(command):
    """What ``command`` (a list) runs, as "3.12"; None when it does not run or is unfit."""
    try:
        done = subprocess.run(
            [*command, "-I", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None


def _find(version):
    """The path of a fit interpreter of that version, or None."""
    if _version([sys.executable]) == version:
        return sys.executable
    suffix = ".exe" if WINDOWS else ""
    names = ["python" + version + suffix] + (["python.exe"] if WINDOWS else [])
    for folder in _folders():
        for name in names:
            path = os.path.join(folder, name)
            # a pyenv shim exists for every version and runs only the chosen ones: ask it
            if os.path.isfile(path) and _version([path]) == version:
                return path
    if WINDOWS and _version(["py", "-" + version]) == version:
        shown = subprocess.check_output(
            ["py", "-" + version, "-c", "import sys;print(sys.executable)"]
        )
        return shown.decode().strip()
    return None


def interpreters(versions=TESTED):
    """``{"3.12": path}`` of those found on this machine, without being told where they are."""
    found = {version: _find(version) for version in versions}
    return {version: path for version, path in found.items() if path}


def _bootstrap_python():
    """An interpreter of 3.11 or later that can make a virtual environment, or None."""
    if sys.version_info >= (3, 11) and _can_make_venv(sys.executable):
        return sys.executable
    for version in TESTED[::-1] + LATER:
        path = _find(version)
        if path and _can_make_venv(path):
            return path
    return None


def _can_make_venv(python):
    # Debian splits ensurepip off: venv is there, and fails half-way through
    return (
        subprocess.call([python, "-I", "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL)
        == 0
    )


def _venv_program(name):
    return os.path.join(VENV, "Scripts" if WINDOWS else "bin", name + (".exe" if WINDOWS else ""))


def _ready():
    """True when .venv was made to the end, and its interpreter still exists."""
    try:
        with open(STAMP) as stamp:
            if stamp.read() != NOX:
                return False
    except OSError:
        return False
    return _version([_venv_program("python")]) is not None


def _set_up():
    python = _bootstrap_python()
    if python is None:
        _fail(
            "no Python 3.11 or later with ensurepip was found; install one "
            "(on Debian and Ubuntu: apt-get install python3-venv)"
        )
    print("dev.py: making .venv with %s" % python, file=sys.stderr, flush=True)
    if os.path.isdir(VENV):
        shutil.rmtree(VENV)
    pip = [_venv_program("python"), "-m", "pip", "install", "--quiet", NOX]
    for command in ([python, "-m", "venv", VENV], pip):
        status = subprocess.call(command)
        if status:
            _fail("%r ended with status %d; see above" % (" ".join(command), status))
    with open(STAMP, "w") as stamp:
        stamp.write(NOX)


def _fail(message):
    sys.stderr.write("dev.py: %s\n" % message)
    sys.exit(2)


def main(arguments):
    """Runs one task; what follows it goes to nox, so ``-- -k cycle`` reaches pytest."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python dev.py TASK [-- ARGUMENTS]\n")
        for task, purpose in TASKS.items():
            print("  %-13s %s" % (task, purpose))
        return 0 if arguments else 2
    task, rest = arguments[0], arguments[1:]
    if task not in TASKS:
        _fail("no task %r; there are %s" % (task, ", ".join(TASKS)))
    if not _ready():
        _set_up()
    command = [_venv_program("nox"), "-f", os.path.join(HERE, "noxfile.py")]
    return _wait(subprocess.Popen([*command, "-s", SESSIONS.get(task, task), *rest]))


def _wait(process):
    """The exit status; Ctrl-C reaches the process too, and it is given the time to tidy up."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _fail("%s: %s" % (error.filename, error.strerror))
