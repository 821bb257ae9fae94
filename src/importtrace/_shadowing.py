"""Whether a file of the user's stands in front of a standard module that the delivery would import.

Then nothing that needs the standard library is imported in this process: neither may the user's file run
because of us, nor can we do with it. Imports nothing, and runs no code of the program's.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What a delivery imports, on any version (tests/unit/test_shadowed_delivery.py holds it to that).
# fmt: off
NEEDED = (
    "__future__", "_abc", "_ast", "_blake2", "_collections", "_collections_abc", "_contextvars",
    "_datetime", "_functools", "_hashlib", "_json", "_locale", "_math_integer", "_opcode",
    "_opcode_metadata", "_operator", "_posixsubprocess", "_py_warnings", "_sre", "_stat", "_tokenize",
    "_types", "_typing", "_weakrefset", "abc", "annotationlib", "ast", "atexit", "collections",
    "contextlib", "copy", "copyreg", "dataclasses", "datetime", "dis", "enum", "errno", "fcntl",
    "functools", "genericpath", "hashlib", "importlib", "inspect", "io", "ipaddress", "itertools",
    "json", "keyword", "linecache", "locale", "math", "opcode", "operator", "os", "posixpath", "re",
    "reprlib", "select", "selectors", "signal", "stat", "subprocess", "textwrap", "threading", "token",
    "tokenize", "types", "typing", "urllib", "warnings", "weakref",
)
# fmt: on
_LIBRARIES = ("site-packages", "dist-packages")


def in_front() -> tuple[str, str] | None:
    """The first such module and the user's file; None where there is none, or no telling."""
    standard = _standard_folders()
    bootstrap: Any = sys.modules.get("_frozen_importlib_external")
    frozen: Any = sys.modules.get("_imp")
    if not standard or bootstrap is None or frozen is None:
        return None
    for name in NEEDED:
        if name in sys.modules:
            file = _file(sys.modules[name])
        elif name in sys.builtin_module_names or frozen.is_frozen(name):
            continue
        else:
            found = bootstrap.PathFinder.find_spec(name)
            file = found.origin if found is not None and found.has_location else None
        if file is not None and not _is_known(file, standard):
            return name, file
    return None


def _file(module: "Any") -> str | None:
    names: Any = getattr(module, "__dict__", {})
    file = names.get("__file__")
    return file if type(file) is str else None


def _is_known(file: str, standard: "tuple[str, ...]") -> bool:
    """Of the standard library, or of an installed package: one that replaces a module knows why."""
    parts = file.replace("\\", "/").split("/")
    return file.startswith(standard) or any(folder in parts for folder in _LIBRARIES)


def _standard_folders() -> "tuple[str, ...]":
    """Where the standard library lies, each with its separator; empty in a frozen program."""
    file = _file(sys.modules.get("os"))
    if file is None or getattr(sys, "frozen", False):
        return ()
    separator = "\\" if "\\" in file else "/"
    folder, _, _ = file.rpartition(separator)
    entries = [entry for entry in sys.path if type(entry) is str]
    extensions = [entry for entry in entries if entry.endswith(("lib-dynload", "DLLs"))]
    return tuple(entry + separator for entry in (folder, *extensions))
