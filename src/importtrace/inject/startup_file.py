"""A start-up file in an environment's site-packages: traced by IMPORTTRACE=1, without PYTHONPATH.

Up to 3.14 ``site`` executes the line in the ``.pth`` file. From 3.15 on it calls what the
``.start`` file names (PEP 829) and leaves that line alone. Both call ``importtrace_start.start``.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig

from importtrace.errors import ImportTraceError
from importtrace.inject import SITE

MODULE = "importtrace_start"

# One line, run at every start of the interpreter: nothing is imported unless the switch is on.
# `os` has been imported by `site`; the words are those that importtrace_start takes for "off".
PTH = (
    "import os; os.environ.get('IMPORTTRACE', '').strip().lower() in "
    "('', '0', 'false', 'no', 'off') or __import__('importtrace_start').start()\n"
)
START = "importtrace_start:start\n"


class StartupFileError(ImportTraceError):
    """The start-up files could not be written or removed."""

    slug = "startup-file"


def install(directory: str | None = None) -> list[str]:
    """Write the three files and return their paths; raises StartupFileError."""
    where = directory or default_directory()
    if not os.path.isdir(where):
        raise StartupFileError(
            f"cannot install into {where!r}: no such directory; --dir takes the site-packages that "
            '"python -m site" of the other environment shows'
        )
    module, pth, start = paths(where)
    try:
        # the module first: a start-up file must not name what is not there yet
        shutil.copyfile(os.path.join(SITE, MODULE + ".py"), module)
        for path, text in ((pth, PTH), (start, START)):
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
    except OSError as error:
        raise StartupFileError(f"cannot install into {where!r}: {error.strerror}") from error
    return [module, pth, start]


def remove(directory: str | None = None) -> list[str]:
    """Remove what is there of the three files and return their paths; raises StartupFileError."""
    where = directory or default_directory()
    removed = []
    for path in reversed(paths(where)):
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StartupFileError(f"cannot remove {path!r}: {error.strerror}") from error
        removed.append(path)
    return removed


def paths(directory: str) -> list[str]:
    return [os.path.join(directory, MODULE + suffix) for suffix in (".py", ".pth", ".start")]


def default_directory() -> str:
    """site-packages of this interpreter's environment."""
    return sysconfig.get_path("purelib", vars={"base": sys.prefix})
