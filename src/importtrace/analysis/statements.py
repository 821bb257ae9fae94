"""What a source file says: the statement on a line, and where a name would have been bound.

Pure, and stdlib-free: it runs inside a failing import, where importing `ast` or `linecache` could
deadlock with the program's own imports of them. `compile()` makes the same tree without them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
_FUNCTIONS = ("FunctionDef", "AsyncFunctionDef", "Lambda")
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_LONGEST = 200  # characters of a statement that are worth showing


class Source:
    """The text of one file and its tree (None where it does not compile here)."""

    __slots__ = ("lines", "tree")

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.tree: Any = None
        try:
            self.tree = compile(text, "<source>", "exec", _ONLY_AST, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass

    def statement(self, line: int) -> str | None:
        """The statement that `line` belongs to, on one line; a compound statement's head only."""
        node = self.node(line)
        if node is None:
            text = self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""
            return text[:_LONGEST] or None
        decorator = _decorator(node, line)
        if decorator is not None:
            return self._lines(decorator.lineno, decorator.end_lineno)
        last = node.end_lineno
        if getattr(node, "body", None):
            first = node.body[0]
            last = max(node.lineno, first.lineno - 1)
        elif self._heads(node) and not type(node).__name__.startswith("Import"):
            # `class Job(metaclass=Meta): pass`: either part of the line may be meant
            return self._lines(node.lineno, node.end_lineno)
        text = " ".join(part.strip() for part in self.lines[node.lineno - 1 : last])
        if not getattr(node, "body", None) and node.lineno == node.end_lineno:
            # several statements may share the line; offsets count UTF-8 bytes
            raw = self.lines[node.lineno - 1].encode()
            text = raw[node.col_offset : node.end_col_offset].decode(errors="replace")
        text = " ".join(text.split())
        return text[: _LONGEST - 1] + "…" if len(text) > _LONGEST else text or None

    def _lines(self, first: int, last: int) -> str | None:
        text = " ".join(" ".join(self.lines[first - 1 : last]).split())
        return text[: _LONGEST - 1] + "…" if len(text) > _LONGEST else text or None

    def _heads(self, node: "Any") -> bool:
        """Whether a compound statement's head stands on the line of this, its first statement."""
        return any(
            other is not node
            and getattr(other, "body", None)
            and other.body[0] is node
            and other.lineno == node.lineno
            for other, _ in statements(self.tree, into_functions=True)
        )

    def node(self, line: int) -> "Any":
        """The innermost statement on `line`, or None."""
        found = None
        for node, _ in statements(self.tree, into_functions=True):
            if node.lineno <= line <= (node.end_lineno or node.lineno):
                found = node
            elif getattr(node, "decorator_list", None):
                if node.decorator_list[0].lineno <= line <= node.lineno:
                    found = node
        return found

    def import_names(self, line: int, module: str | None = None) -> tuple[str, ...] | None:
        """The `from` list of the import statement on `line`; None if there is none.

        Of several import statements on one line, the one whose last component is `module`'s.
        """
        found = None
        for node, _ in statements(self.tree, into_functions=True):
            if type(node).__name__ == "ImportFrom" and node.lineno <= line <= node.end_lineno:
                names = tuple(alias.name for alias in node.names)
                tail = (node.module or "").rpartition(".")[2]
                if module is None or not tail or module.rpartition(".")[2] in (tail, *names):
                    return names
                found = found or names
        return found

    def bindings(self, name: str) -> "list[Binding]":
        """Every statement at module level that can bind `name`, in the order of lines."""
        return [one for one in self._bindings(name) if not one.only_for_types]

    def binding_for_types(self, name: str) -> "Binding | None":
        """The statement under `if TYPE_CHECKING:` that binds `name` for type checkers."""
        return next((one for one in self._bindings(name) if one.only_for_types), None)

    def _bindings(self, name: str) -> "list[Binding]":
        found = []
        for node, path in statements(self.tree):
            if name in _bound_by(node):
                binding = Binding(node, path)
                for case in getattr(node, "cases", ()):
                    if name in _captured(case.pattern):
                        binding.line = case.pattern.lineno
                        break
                found.append(binding)
        return found

    def stars(self) -> "list[Any]":
        """The `from … import *` statements at module level."""
        return [star.node for star in self.star_bindings()]

    def star_bindings(self) -> "list[Binding]":
        """The same, with the statements around them."""
        return [
            Binding(node, path)
            for node, path in statements(self.tree)
            if type(node).__name__ == "ImportFrom" and node.names[0].name == "*"
        ]

    def exports(self, name: str) -> bool:
        """Whether a star import takes `name`, as far as the text tells: it is public, or the list
        `__all__` has it."""
        listed = self.bindings("__all__")
        if not listed:
            return not name.startswith("_")
        value = getattr(listed[-1].node, "value", None)
        names = [getattr(one, "value", None) for one in getattr(value, "elts", ())]
        return len(listed) == 1 and name in names

    def binds_by_other_means(self, name: str) -> bool:
        """Whether `name` may be bound in a way that no statement shows: `globals()[…]`, `exec`, `setattr`,
        a `global` declaration in a function, a module `__getattr__`. Star imports are in `stars()`."""
        if self.tree is None:
            return True
        for node in walk(self.tree):
            kind = type(node).__name__
            if kind == "Global" and name in node.names:
                return True
            if kind == "Call":
                called = getattr(node.func, "id", None)
                if called in ("globals", "vars", "exec", "setattr", "locals"):
                    return True
        return any(
            type(node).__name__ in _FUNCTIONS and node.name == "__getattr__"
            for node, _ in statements(self.tree)
        )


class Binding:
    """One statement that binds a name; `path` are the statements around it, outermost first."""

    __slots__ = ("line", "node", "path")

    def __init__(self, node: "Any", path: "tuple[Any, ...]") -> None:
        self.node = node
        self.path = path
        self.line: int = node.lineno

    @property
    def is_import(self) -> bool:
        return type(self.node).__name__ in ("Import", "ImportFrom")

    def origin(self, name: str, package: str | None) -> tuple[str, str | None] | None:
        """Where an import statement gets `name` from: (module, name there or None for the module itself).

        `package` is that of the file, for relative imports.
        """
        kind = type(self.node).__name__
        for alias in getattr(self.node, "names", ()):
            if name not in (alias.asname, alias.name, alias.name.partition(".")[0]):
                continue
            if kind == "ImportFrom":
                module = absolute(self.node, package)
                return (module, alias.name) if module is not None else None
            if kind == "Import":
                return (alias.name if alias.asname else name), None
        return None

    @property
    def conditional(self) -> bool:
        """In a branch, a loop or a handler: it need not run."""
        return any(type(node).__name__ not in ("With", "AsyncWith") for node in self.path)

    @property
    def only_for_types(self) -> bool:
        """Under `if TYPE_CHECKING:`, which does not run."""
        return any(
            type(node).__name__ == "If"
            and "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", ""))
            and node.body[0].lineno <= self.line <= node.body[-1].end_lineno
            for node in self.path
        )

    @property
    def end(self) -> int:
        return int(self.node.end_lineno or self.node.lineno)


def absolute(node: "Any", package: str | None) -> str | None:
    """The module of a `from` statement; None where its package is not known."""
    if not node.level:
        return str(node.module)
    if package is None:
        return None
    parts = package.split(".")
    if node.level > len(parts):
        return None
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def statements(
    tree: "Any", path: "tuple[Any, ...]" = (), into_functions: bool = False
) -> "Iterator[tuple[Any, tuple[Any, ...]]]":
    """(statement, statements around it) of a module's own scope, in source order."""
    stack = [(node, path) for node in reversed(getattr(tree, "body", None) or [])]
    while stack:
        node, around = stack.pop()
        yield node, around
        kind = type(node).__name__
        if not into_functions and kind in (*_FUNCTIONS, "ClassDef"):
            continue
        inner = (*around, node)
        children: list[tuple[Any, tuple[Any, ...]]] = []
        for field in _BLOCKS:
            for child in getattr(node, field, None) or []:
                if type(child).__name__ in ("ExceptHandler", "match_case"):
                    children.extend((statement, (*inner, child)) for statement in child.body)
                elif hasattr(child, "lineno"):
                    children.append((child, inner))
        stack.extend(reversed(children))


def walk(node: "Any") -> "Iterator[Any]":
    """Every node of a tree, as `ast.walk`."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        for field in getattr(node, "_fields", ()):
            value = getattr(node, field, None)
            if isinstance(value, list):
                stack.extend(item for item in value if hasattr(item, "_fields"))
            elif hasattr(value, "_fields"):
                stack.append(value)


def _bound_by(node: "Any") -> set[str]:
    kind = type(node).__name__
    if kind in ("FunctionDef", "AsyncFunctionDef", "ClassDef"):
        return {node.name}
    if kind == "Import":
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if kind == "ImportFrom":
        return {alias.asname or alias.name for alias in node.names}
    if kind == "AnnAssign" and node.value is None:
        return set()
    if kind == "Delete":
        return set()
    names: set[str] = set()
    for case in getattr(node, "cases", ()):
        names.update(_captured(case.pattern))
    for field in ("targets", "target", "items", "value", "test", "iter", "name", "subject"):
        value = getattr(node, field, None)
        for part in value if isinstance(value, list) else [value]:
            if hasattr(part, "_fields"):
                names.update(_stored(part))
    return names


def _stored(node: "Any") -> "Iterator[str]":
    """Names that an expression or target binds in the scope it stands in."""
    stack = [node]
    while stack:
        node = stack.pop()
        kind = type(node).__name__
        if kind == "Name" and type(node.ctx).__name__ == "Store":
            yield node.id
        if kind == "Lambda":
            continue
        for field in getattr(node, "_fields", ()):
            if kind == "comprehension" and field == "target":
                continue  # its own scope; a walrus in it binds outside
            value = getattr(node, field, None)
            stack += [one for one in (value if isinstance(value, list) else [value]) if one]


def _captured(pattern: "Any") -> "Iterator[str]":
    """Names that a `case` binds."""
    for part in walk(pattern):
        if type(part).__name__ in ("MatchAs", "MatchStar") and part.name:
            yield part.name
        elif type(part).__name__ == "MatchMapping" and part.rest:
            yield part.rest


def _decorator(node: "Any", line: int) -> "Any":
    for one in getattr(node, "decorator_list", None) or ():
        if one.lineno <= line <= one.end_lineno:
            return one
    return None


def at_line(
    lines: list[str], line: int, module: str | None = None
) -> tuple[str | None, tuple[str, ...] | None]:
    """The statement that begins on `line` and, of a `from` import, its names; without a whole parse.

    For records by the thousand. `line` is an import's line, which is where its statement begins.
    """
    if not 0 < line <= len(lines):
        return None, None
    text = lines[line - 1].strip()
    if not text:
        return None, None
    tree = None
    if text.startswith(("from ", "import ")) or " import " in text:
        for last in range(line, min(line + 60, len(lines) + 1)):
            snippet = "\n".join(lines[line - 1 : last]).strip()
            try:
                tree = compile(snippet, "<statement>", "exec", _ONLY_AST, dont_inherit=True)
            except (SyntaxError, ValueError):
                # `try: import x`, `if a: import b` and the like do not stand alone
                if "(" not in snippet and not snippet.endswith("\\"):
                    break
                continue
            text = " ".join(snippet.split())
            break
    names = None
    for node in getattr(tree, "body", ()):
        if type(node).__name__ == "ImportFrom":
            found = tuple(alias.name for alias in node.names)
            tail = (node.module or "").rpartition(".")[2]
            if names is None or module is None or module.rpartition(".")[2] in (tail, *found):
                names = found
    return (text[: _LONGEST - 1] + "…" if len(text) > _LONGEST else text), names
