"""Reading what the program's modules and folders say, without running any code of the program's.

Stdlib-free: it runs inside a failing import.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A module's own namespace, whatever its class does to attribute access.
_attributes: "Any" = vars(type(sys))
_descriptor: "Any" = _attributes["__dict__"]
namespace_of: "Any" = _descriptor.__get__


def read(file: str) -> str | None:
    try:
        with open(file, "rb") as source:
            data = source.read()
    except OSError:
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def file_of(module: str) -> str | None:
    found = sys.modules.get(module)
    file = namespace_of(found).get("__file__") if isinstance(found, type(sys)) else None
    return file if type(file) is str else None


def names(folder: str) -> list[str]:
    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    try:
        names: list[str] = system.listdir(folder or ".")
    except (OSError, AttributeError):
        return []
    return names


def search_path() -> tuple[str, ...]:
    """`sys.path` with the current folder in place of an empty entry, as the files found there have it."""
    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    try:
        here = system.getcwd()
    except (OSError, AttributeError):
        here = ""
    return tuple(entry or here for entry in sys.path if type(entry) is str)
