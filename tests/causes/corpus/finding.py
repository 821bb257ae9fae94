"""Modules that cannot be found or linked, or are refused, and imports that failed for another."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

from corpus.model import Case, Fails, Root, Skip, at

if TYPE_CHECKING:
    from pathlib import Path

EXEC = at("app.py", 'exec("import absent_plugin")')
APART = ("cycle", "partial", "waits", "caught_at", "bound_at")  # facts of other kinds


def not_found(variant: str, message: str, module: str, ends: str | None, **more: object) -> Case:
    return Case(
        "not_found",
        variant,
        {
            "main": Fails(
                "ModuleNotFoundError",
                message,
                "not_found",
                module=module,
                starts=at("main.py", "import app"),
                ends=at("app.py", ends) if ends else None,
                absent=APART,
                **more,  # type: ignore[arg-type]
            )
        },
    )


NOT_FOUND = [
    not_found("near_miss", "No module named 'legder'", "legder", "import legder", hint=("ledger",)),
    not_found(
        "no_near_miss",
        "No module named 'zzqx_nowhere'",
        "zzqx_nowhere",
        "import zzqx_nowhere",
        says_not=("did you mean", "ledger"),
    ),
    not_found(
        "of_package", "No module named 'shop.crat'", "shop.crat", "import shop.crat", hint=("cart",)
    ),
    not_found(
        "of_module",
        "'ledger' is not a package",
        "ledger.entries",
        "import ledger.entries",
        says=("not a package",),
    ),
    Case(
        "not_found",
        "from_package",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'crat' from 'shop'",
                # the package is complete; that importlib tried shop.crat is part of the statement
                "missing_name",
                module="shop",
                name="crat",
                ends=at("app.py", "from shop import crat"),
                absent=APART,
                hint=("cart",),
            )
        },
    ),
    Case(
        "not_found",
        "relative",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'shop.crat'",
                "not_found",
                module="shop.crat",
                starts=at("main.py", "import shop.desk"),
                ends=at("shop/desk.py", "from .crat import ITEMS"),
                absent=APART,
                hint=("cart",),
            )
        },
    ),
    not_found("in_exec", "No module named 'absent_plugin'", "absent_plugin", None, through=(EXEC,)),
    Case(
        "not_found",
        "lazy",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'absent_engine'",
                "not_found",
                module="absent_engine",
                ends=at("app.py", "import absent_engine"),
                absent=APART,
                notes=None,  # no load encloses it
            )
        },
    ),
    Case("not_found", "twin"),
]

DEPENDENCY = [
    Case(
        "dependency",
        "direct",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'absent_native'",
                "not_found",
                module="absent_native",
                starts=at("main.py", "import app"),
                through=(at("app.py", "import driver"),),
                ends=at("driver.py", "import absent_native"),
                absent=APART,
            )
        },
    ),
    Case(
        "dependency",
        "wrapped",
        {
            "main": Fails(
                "ImportError",
                "driver needs absent_native 2 or later",
                "dependency_failed",
                module="driver",
                starts=at("main.py", "import app"),
                through=(at("app.py", "import driver"),),
                root=Root("ModuleNotFoundError", at("driver.py", "import absent_native")),
            )
        },
    ),
    Case(
        "dependency",
        "wrapped_deep",
        {
            "main": Fails(
                "RuntimeError",
                "the driver cannot start",
                "dependency_failed",
                module="driver",
                root=Root(
                    "ImportError",
                    at("lower.py", "from ledger import entries"),
                    message="cannot import name 'entries' from 'ledger'",
                ),
            )
        },
    ),
    Case(
        "dependency",
        "twin",
        {
            "main": Fails(
                "RuntimeError",
                "the driver cannot start",
                "body_raised",
                module="driver",
                ends=at("driver.py", "raise RuntimeError("),
                absent=APART,
            )
        },
    ),
]


def _compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        raise Skip("no C compiler here to build an extension module with")
    return found


def _extension(root: Path) -> Path:
    return root / f"_speed{sysconfig.get_config_var('EXT_SUFFIX')}"


def _build(root: Path, source: str, *link: str) -> None:
    (root / "speed.c").write_text(source)
    command = [_compiler(), "-shared", "-fPIC", "-o", _extension(root), root / "speed.c", *link]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


CALLER = "int acme_frob(void);\nint PyInit__speed(void) { return acme_frob(); }\n"


def missing_library(root: Path) -> None:
    """Linked against a library that is then taken away, as on a slimmer image."""
    (root / "acme.c").write_text("int acme_frob(void) { return 0; }\n")
    library = root / "libacme_missing.so.1"
    subprocess.run(
        [
            _compiler(),
            "-shared",
            "-fPIC",
            "-o",
            library,
            root / "acme.c",
            f"-Wl,-soname,{library.name}",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    _build(root, CALLER, str(library))
    library.unlink()


def undefined_symbol(root: Path) -> None:
    """Built against another version of its library."""
    _build(root, CALLER)


def garbage(root: Path) -> None:
    """A broken download, or a file for another platform."""
    _extension(root).write_bytes(b"not an object file\n" * 64)


NATIVE = [
    *(
        Case(
            "native",
            prepare.__name__,
            {
                "main": Fails(
                    "ImportError",
                    message,
                    "native_library",
                    module="_speed",
                    starts=at("main.py", "import app"),
                    ends=at("app.py", "import _speed"),
                    absent=APART,
                    says=says,
                )
            },
            prepare=prepare,
        )
        for prepare, message, says in (
            (missing_library, "libacme_missing.so.1", ("libacme_missing.so.1",)),
            (undefined_symbol, "acme_frob", ("acme_frob",)),
            (garbage, "_speed", ("_speed",)),
        )
    ),
    Case(
        "native",
        "wrapped",
        {
            "main": Fails(
                "ImportError",
                "the fast path cannot be used here",
                "dependency_failed",
                module="app",
                root=Root("ImportError", at("app.py", "    import _speed"), message="_speed"),
            )
        },
        prepare=garbage,
    ),
    Case(
        "native",
        "twin_text",
        {
            "main": Fails(
                "ImportError",
                "libacme_missing.so.1",
                "body_raised",  # there is no extension module that could have been linked
                module="_speed",
                ends=at("_speed.py", "raise ImportError("),
                absent=APART,
            )
        },
    ),
    Case(
        "native",
        "twin_ctypes",
        {
            "main": Fails(
                "OSError",
                "libacme_missing.so.1",
                "body_raised",
                module="_speed",
                through=(at("_speed.py", "LIBRARY = ctypes.CDLL"),),
                absent=APART,
            )
        },
    ),
    Case(
        "native",
        "twin_said",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named '_speed_native'",
                "not_found",
                module="_speed_native",
                ends=at("_speed.py", "import _speed_native"),
                absent=APART,
            )
        },
    ),
]

BLOCKED = [
    *(
        Case(
            "blocked",
            variant,
            {
                "main": Fails(
                    type_,
                    message,
                    kind,
                    module="acme_forbidden",
                    starts=at("main.py", "import app"),
                    through=(at("app.py", "import acme_forbidden"),),
                    absent=APART,
                )
            },
        )
        for variant, type_, message, kind in (
            ("none", "ModuleNotFoundError", "import of acme_forbidden halted", "blocked"),
            ("finder", "ImportError", "acme_forbidden is not allowed here", "blocked"),
            ("twin", "ModuleNotFoundError", "No module named 'acme_forbidden'", "not_found"),
        )
    ),
]

CASES = [*NOT_FOUND, *DEPENDENCY, *NATIVE, *BLOCKED]
