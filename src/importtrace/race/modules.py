"""What the target holds, and what its modules import as their source says. Imports nothing of it."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sources:
    """`reads(module)`: the target's modules that running its body may ask for. Its own imports, and those
    that stand in functions of what it imports, directly or not: it may call them."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._all = frozenset(files)
        self._parsed: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._known: dict[str, frozenset[str]] = {}

    def reads(self, module: str) -> frozenset[str]:
        known = self._known.get(module)
        if known is None:
            found = set(self._imports(module)[0])
            seen = {module}
            todo = [module]
            while todo:
                for other in self._imports(todo.pop())[0]:
                    if other not in seen:
                        seen.add(other)
                        todo.append(other)
                        found |= self._imports(other)[1]
            known = self._known[module] = frozenset(found)
        return known

    def _imports(self, module: str) -> tuple[frozenset[str], frozenset[str]]:
        """(all imports in its source, those that stand in functions)"""
        known = self._parsed.get(module)
        if known is None:
            known = self._parsed[module] = self._parse(module)
        return known

    def _parse(self, module: str) -> tuple[frozenset[str], frozenset[str]]:
        everything = self._all, self._all
        file = self._files.get(module)
        if file is None:
            return (frozenset(), frozenset()) if module not in self._all else everything
        if not file.endswith(".py"):
            return everything
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return everything
        package = module if Path(file).stem == "__init__" else module.rpartition(".")[0]
        found: set[str] = set()
        later: set[str] = set()
        todo: list[tuple[ast.AST, bool]] = [(tree, False)]
        while todo:
            node, inside = todo.pop()
            if isinstance(node, ast.Call) and _dynamic(node):
                return everything
            names = _imported(node, package)
            found.update(names)
            if inside:
                later.update(names)
            inside = inside or isinstance(node, _FUNCTIONS)
            todo += [(child, inside) for child in ast.iter_child_nodes(node)]
        return frozenset(found & self._all), frozenset(later & self._all)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _imported(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [name for alias in node.names for name in _with_parents(alias.name)]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        above = parts[: len(parts) - node.level + 1]
        base = ".".join([*above, base]) if base else ".".join(above)
    return [*_with_parents(base), *(f"{base}.{alias.name}" for alias in node.names)]


@lru_cache(maxsize=4096)
def _with_parents(name: str) -> tuple[str, ...]:
    parts = name.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _dynamic(node: ast.Call) -> bool:
    """import_module(...) and __import__(...): what they import is not in the source."""
    name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    return name in ("import_module", "__import__")
