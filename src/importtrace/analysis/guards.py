"""Imports in `try`: which failure was caught where, and which names it left missing.

Pure and stdlib-free, as `causes`. Evidence is a failure that was recorded, and whose import statement
stands in the body of that very `try`.
"""

from __future__ import annotations

from importtrace.analysis.facts import Earlier
from importtrace.analysis.statements import Source, statements, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Found = tuple[Earlier, dict[str, Any] | None]


def swallowed(
    source: Source | None, file: str | None, name: str, earlier: list[Earlier]
) -> Found | None:
    """The caught failure that kept `name` from being bound in this file, and where it was caught."""
    if source is None or file is None:
        return None
    for binding in source.bindings(name):
        for around in reversed(binding.path):
            if type(around).__name__ not in ("Try", "TryStar"):
                continue
            if not _inside(binding.line, around.body):
                continue  # bound in a handler: the fallback, not the attempt
            found = _failed_in(around, file, earlier, upto=binding.end)
            if found is not None:
                return found, _handler(around, file)
    return None


def guard(
    source: Source | None, file: str, line: int, earlier: list[Earlier]
) -> tuple[str, Earlier, dict[str, Any] | None] | None:
    """For a `raise` under `if not HAS_X:`: the name tested, and the failure whose handler set it."""
    if source is None or type(source.node(line)).__name__ != "Raise":
        return None
    tested: set[str] = set()
    for node, around in statements(source.tree, into_functions=True):
        if node.lineno <= line <= node.end_lineno and type(node).__name__ == "Raise":
            for outer in around:
                if type(outer).__name__ == "If":
                    tested.update(
                        part.id for part in walk(outer.test) if type(part).__name__ == "Name"
                    )
    for name in sorted(tested):
        found = swallowed(source, file, name, earlier) or _set_by_handler(
            source, file, name, earlier
        )
        if found is not None:
            return name, *found
    return None


def _set_by_handler(
    source: Source, file: str, name: str, earlier: list[Earlier]
) -> Found | None:
    for binding in source.bindings(name):
        for outer, inner in zip(binding.path, binding.path[1:], strict=False):
            if type(inner).__name__ != "ExceptHandler" or not hasattr(outer, "handlers"):
                continue
            found = _failed_in(outer, file, earlier, upto=None)
            if found is not None:
                return found, _handler(outer, file)
    return None


def _failed_in(
    node: Any, file: str, earlier: list[Earlier], upto: int | None
) -> Earlier | None:
    first = node.body[0].lineno
    last = node.body[-1].end_lineno if upto is None else upto
    for failure in earlier:
        if failure.file == file and failure.line and first <= failure.line <= last:
            return failure
    return None


def _handler(node: Any, file: str) -> dict[str, Any] | None:
    """The first handler that catches an ImportError by name; that is where it was caught."""
    for handler in node.handlers:
        names = {
            getattr(part, "id", getattr(part, "attr", None))
            for part in walk(handler.type)
            if handler.type is not None
        }
        if handler.type is None or names & _CATCHES:
            return {"file": file, "line": handler.lineno}
    return None


_CATCHES = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def _inside(line: int, body: list[Any]) -> bool:
    return bool(body[0].lineno <= line <= body[-1].end_lineno)
