# mypy: ignore-errors
"""Start importtrace in this process if the variable IMPORTTRACE says so.

Whatever Python inherits the variable reads this file, so it is valid on any of them, and passes by
those that importtrace does not support: it cannot ask the package for the version.
``sitecustomize`` imports it from here, ``python -m importtrace.inject --install`` copies it beside
a start-up file.
"""

import os
import sys

ON = ("1", "true", "yes", "on")
OFF = ("", "0", "false", "no", "off")

_called = False  # `site` reads the start-up files of a virtual environment twice


def wanted():
    """Whether this process is to be traced."""
    if sys.version_info < (3, 11):
        return False
    value = os.environ.get("IMPORTTRACE", "").strip().lower()
    if value not in ON and value not in OFF:
        say("IMPORTTRACE=%r means nothing: set it to 1 or 0; not traced" % value)
    return value in ON


def start():
    """Install importtrace where it is wanted. Never raises: the program comes first."""
    global _called
    if _called:
        return
    _called = True
    try:
        if wanted():
            _install()
    except Exception:
        kind, error = sys.exc_info()[:2]
        say("not started, the program runs untraced: %s: %s" % (kind.__name__, _one_line(error)))


def say(message):
    """One line on stderr; never raises."""
    try:
        sys.stderr.write("importtrace: " + message + "\n")
        sys.stderr.flush()
    except Exception:
        pass


def _one_line(error):
    return " ".join(str(error).split())


def _install():
    # At the end of the path: an importtrace of the program's own environment wins, and nothing that
    # lies beside ours can stand in front of anything.
    beside = _beside_package()
    added = beside is not None and beside not in sys.path
    if added:
        sys.path.append(beside)
        cached = beside in sys.path_importer_cache
    try:
        import importtrace

        if os.environ.get("IMPORTTRACE_FILE"):
            # A file name without {pid} is this process's; its children add their pid to it.
            os.environ.setdefault("IMPORTTRACE_FILE_OWNER", str(os.getpid()))
        importtrace.install()
    finally:
        if added:
            sys.path.remove(beside)
            if not cached:
                sys.path_importer_cache.pop(beside, None)


def _beside_package():
    """The directory of the importtrace that this file is a part of; None for a copy of the file."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.basename(package) != "importtrace":
        return None
    if not os.path.isfile(os.path.join(package, "__init__.py")):
        return None
    return os.path.dirname(package)
