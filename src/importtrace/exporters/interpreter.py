"""The interpreter in which a delivery goes on outside of the traced process: which, where it finds us, and
what it inherits. Imports nothing but ``os``: it is used where the standard library cannot be trusted.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Neither the program's folder nor the user's: what lies there may have a standard module's name.
FLAGS = ("-s", "-P")


def find() -> str | None:
    """The interpreter to start, or None; embedded and frozen programs have another ``sys.executable``."""
    if getattr(sys, "frozen", False):
        return None
    for path in (sys.executable, os.path.join(sys.exec_prefix, "bin", "python3")):
        name = os.path.basename(path or "").lower()
        if name.startswith(("python", "pypy")) and os.path.exists(path):
            return path
    return None


def search_path() -> list[str]:
    """Where this process finds us and the SDK. Comes after the child's own, shadowing nothing."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # injection leaves nothing on sys.path: the child could not find us there
    return [entry for entry in [*sys.path, package] if entry and os.path.isabs(entry)]


def environment(inherited: "Mapping[str, str]") -> dict[str, str]:
    """Without what would trace, inject into, or otherwise change the child's interpreter."""
    return {
        name: value
        for name, value in inherited.items()
        if not name.startswith("IMPORTTRACE")
        and (not name.startswith("PYTHON") or name == "PYTHONHOME")
    }
