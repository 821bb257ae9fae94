"""What a program of the blind corpus is, and what may be said of each exception it judges.

A program is one text: `=== path` opens a file, and `#@name` at the end of a line marks it, so that an
expectation names lines and not numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_MARK = re.compile(r"\s*#@(\w+)\s*$")


@dataclass(frozen=True, slots=True)
class Says:
    """What may be said of one exception.

    `kinds` are the defensible ones, best first; "" among them: silence is right too.
    `root` / `bound` / `caught`: a mark, several with "|", None: not judged, "-": must be absent.
    A "?" at the end: absence is honest.
    `cycle`: module names in any rotation; () must be absent; None: not judged.
    `says` / `never`: patterns that the text must and must not have. `note`: whether there must be one.
    """

    kinds: str
    root: str | None = None
    bound: str | None = None
    caught: str | None = None
    module: str | None = None
    last: str | None = None
    through: str = ""
    cycle: tuple[str, ...] | None = None
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    note: bool | None = None
    thread: str | None = None

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset(self.kinds.split("|"))


@dataclass(frozen=True, slots=True)
class Program:
    """Files, the marks in them, and what may be said, by the label under which `judge()` got it."""

    name: str
    files: dict[str, str]
    marks: dict[str, tuple[str, int]]
    expect: dict[str, Says]
    entry: str = "main.py"
    judged: bool = True  # if not, only what is said of the files is checked


@dataclass(slots=True)
class Table:
    programs: list[Program] = field(default_factory=list)

    def add(
        self,
        name: str,
        text: str,
        /,
        *,
        entry: str = "main.py",
        judged: bool = True,
        **expect: Says,
    ) -> None:
        """Read the text of a program; an empty `expect` says that it must end well."""
        files: dict[str, list[str]] = {}
        marks: dict[str, tuple[str, int]] = {}
        path = ""
        for line in text.strip("\n").splitlines():
            if line.startswith("=== "):
                path = line[4:].strip()
                files[path] = []
                continue
            found = _MARK.search(line)
            if found:
                assert found[1] not in marks, (name, found[1])
                marks[found[1]] = (path, len(files[path]) + 1)
                line = line[: found.start()]
            files[path].append(line)
        assert all(one.name != name for one in self.programs), name
        self.programs.append(
            Program(
                name,
                {path: "\n".join(lines) + "\n" for path, lines in files.items()},
                marks,
                expect,
                entry,
                judged,
            )
        )
