"""What tools/cpython_tests.py has found so far, so that a long comparison can be made in parts.

One JSON object a line, appended as each file of tests is done; a part that was cut off is done again:

    {"python": VERSION, "file": NAME, "untraced": [{TEST: OUTCOME, …}, …]}
    {"python": VERSION, "file": NAME, "source": DIGEST, "mode": MODE,
     "tests": N, "unsteady": [TEST, …], "differ": {TEST: WHAT}}

What was found with another source of importtrace does not count; untraced runs do.
"""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest(source: Path) -> str:
    """Changes when any file of the package in the folder ``source`` does."""
    found = hashlib.sha256()
    for path in sorted((source / "importtrace").rglob("*.py")):
        found.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


class Parts:
    """Without a path, nothing is kept beyond this run."""

    def __init__(self, path: Path | None, source: Path) -> None:
        self._path = path
        self._source = digest(source)
        self._found: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._untraced: dict[tuple[str, str], list[dict[str, str]]] = {}
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            try:
                one = json.loads(line)
            except ValueError:
                continue  # cut off
            if "untraced" in one:
                self._untraced[one["python"], one["file"]] = one["untraced"]
            elif one["source"] == self._source:
                self._found[one["python"], one["mode"], one["file"]] = one

    def untraced(self, python: str, file: str) -> list[dict[str, str]]:
        """Outcomes by test, of each untraced run."""
        return self._untraced.get((python, file), [])

    def found(self, python: str, mode: str, file: str) -> dict[str, Any] | None:
        return self._found.get((python, mode, file))

    def put_untraced(self, python: str, file: str, runs: list[dict[str, str]]) -> None:
        self._untraced[python, file] = runs
        self._append({"python": python, "file": file, "untraced": runs})

    def put(self, python: str, mode: str, file: str, **compared: Any) -> None:
        one = {"python": python, "file": file, "source": self._source, "mode": mode, **compared}
        self._found[python, mode, file] = one
        self._append(one)

    def _append(self, one: dict[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(one) + "\n")
