"""Imports in `try`: which failure was caught where, and which names it left missing.

Pure and stdlib-free, as `causes`. Evidence is a failure that was recorded, and whose import statement
stands in the body of that very `try`.
"""

from importtrace.analysis.statements import Binding, Source, statements, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from importtrace.analysis.facts import Earlier, Files, Frame


class Swallowed:
    """A failure that was caught: `name` is what it left missing, `bound_at` where it would be bound."""

    __slots__ = ("bound_at", "caught_at", "earlier", "name")

    def __init__(
        self,
        name: str,
        earlier: "Earlier",
        caught_at: "dict[str, Any] | None",
        bound_at: "dict[str, Any] | None",
    ) -> None:
        self.name = name
        self.earlier = earlier
        self.caught_at = caught_at
        self.bound_at = bound_at


def swallowed(
    source: "Source | None",
    file: str | None,
    name: str,
    earlier: "list[Earlier]",
    stars: "tuple[Binding, ...]" = (),
) -> "Swallowed | None":
    """The caught failure that kept `name` from being bound in this file. `stars`: the star imports
    there whose module has the name."""
    if source is None or file is None:
        return None
    for binding in (*source.bindings(name), *stars):
        for around in reversed(binding.path):
            if not getattr(around, "handlers", None):
                continue
            if _inside(binding.line, around.body):
                found = _failed_in(around, file, earlier, upto=binding.end)
            elif around.orelse and _inside(binding.line, around.orelse):
                found = _failed_in(around, file, earlier, upto=None)  # else: if nothing failed
            else:
                continue  # bound in a handler: the fallback, not the attempt
            if found is not None:
                at = {"file": file, "line": binding.line}
                return Swallowed(name, found, handler(around, file), at)
        if any(getattr(around, "handlers", None) for around in binding.path):
            continue
        for around in reversed(binding.path):
            if type(around).__name__ != "With" or not _inside(binding.line, around.body):
                continue
            # no `try` stands around it, and the body went on: the `with` itself let nothing out
            found = _failed_in(around, file, earlier, upto=binding.end)
            if found is not None:
                at = {"file": file, "line": binding.line}
                return Swallowed(name, found, {"file": file, "line": around.lineno}, at)
        for around in binding.path:
            flag = _needed(around, binding.line) if type(around).__name__ == "If" else None
            unset = _unset(source, file, flag, earlier) if flag is not None else None
            if unset is not None:
                at = {"file": file, "line": binding.line}
                return Swallowed(name, unset.earlier, unset.caught_at, at)
    return None


def _needed(branch: "Any", line: int) -> str | None:
    """The name that must be true, or something, for `line` of this `if` to run."""
    test, then = branch.test, _inside(line, branch.body)
    if type(test).__name__ == "UnaryOp" and type(test.op).__name__ == "Not":
        test, then = test.operand, not then
    elif type(test).__name__ == "Compare" and len(test.ops) == 1:
        kind, right = type(test.ops[0]).__name__, test.comparators[0]
        if kind not in ("Is", "IsNot") or getattr(right, "value", ...) is not None:
            return None
        test, then = test.left, then == (kind == "IsNot")
    return str(test.id) if then and type(test).__name__ == "Name" else None


def _unset(source: "Source", file: str, name: str, earlier: "list[Earlier]") -> "Swallowed | None":
    """The caught failure whose handler is the last statement to bind `name`, to False or None."""
    last = source.bindings(name)[-1:]
    value = getattr(last[0].node, "value", None) if last else None
    if getattr(value, "value", ...) not in (False, None):
        return None
    return _replaced_by(last[0], file, name, earlier)


def replaced(
    source: "Source | None", file: str | None, name: str, earlier: "list[Earlier]"
) -> "Swallowed | None":
    """The caught failure whose handler bound `name` to something else."""
    if source is None or file is None:
        return None
    for binding in source.bindings(name):
        found = _replaced_by(binding, file, name, earlier)
        if found is not None:
            return found
    return None


def _replaced_by(
    binding: "Binding", file: str, name: str, earlier: "list[Earlier]"
) -> "Swallowed | None":
    for outer, inner in zip(binding.path, binding.path[1:], strict=False):
        if type(inner).__name__ != "ExceptHandler" or not hasattr(outer, "handlers"):
            continue
        found = _failed_in(outer, file, earlier, upto=None)
        if found is not None:
            return Swallowed(name, found, handler(outer, file), None)
    return None


def guard(files: "Files", where: "Frame", earlier: "list[Earlier]") -> "Swallowed | None":
    """For a `raise` under `if not HAS_X:` or `if module.x is None:`, the failure that set it."""
    for test in _conditions(files.source(where.file), where.line):
        for reference in _references(test):
            found = _missing(files, where, reference, earlier)
            if found is not None:
                return found
    return None


def names_tested(source: "Source | None", line: int) -> set[str]:
    """The names in the conditions around the `raise` on `line`."""
    return {name for test in _conditions(source, line) for name, _ in _references(test)}


def instances_tested(source: "Source | None", line: int) -> "Iterator[tuple[str, str]]":
    """(variable, class) of every `isinstance(variable, class)` around the `raise` on `line`."""
    for test in _conditions(source, line):
        for part in walk(test):
            if type(part).__name__ == "Call" and getattr(part.func, "id", None) == "isinstance":
                names = [str(argument.id) for argument in part.args if hasattr(argument, "id")]
                if len(names) == 2:
                    yield names[0], names[1]


def _conditions(source: "Source | None", line: int) -> "Iterator[Any]":
    if source is None:
        return
    for node, around in statements(source.tree, into_functions=True):
        if type(node).__name__ == "Raise" and node.lineno <= line <= node.end_lineno:
            for outer in around:
                if type(outer).__name__ == "If":
                    yield outer.test


def none_guard(
    files: "Files", where: "Frame", attribute: str, earlier: "list[Earlier]"
) -> "Swallowed | None":
    """For `x.attribute` on None, the failure whose handler set `x` to None."""
    source = files.source(where.file)
    node = source.node(where.line) if source is not None else None
    for part in walk(node) if node is not None else ():
        if type(part).__name__ == "Attribute" and part.attr == attribute:
            for reference in _references(part.value):
                found = _missing(files, where, reference, earlier)
                if found is not None:
                    return found
    return None


def catches(source: "Source | None", line: int, name: str) -> bool:
    """Whether `line` stands in a `try` that has a handler for a class of this name."""
    if source is None:
        return False
    for node, around in statements(source.tree, into_functions=True):
        if not node.lineno <= line <= node.end_lineno:
            continue
        for outer in (*around, node):
            if not getattr(outer, "handlers", None) or not _inside(line, outer.body):
                continue
            for one in outer.handlers:
                for part in walk(one.type):
                    if name in (getattr(part, "id", None), getattr(part, "attr", None)):
                        return True
    return False


def caught_around(source: "Source | None", file: str, line: int) -> "dict[str, Any] | None":
    """The handler of the innermost `try` whose body `line` stands in."""
    found = None
    if source is not None:
        for node, _ in statements(source.tree, into_functions=True):
            if getattr(node, "handlers", None) and _inside(line, node.body):
                found = {"file": file, "line": node.handlers[0].lineno}
    return found


def handler(node: "Any", file: str) -> "dict[str, Any] | None":
    """The first handler of a `try` that catches an ImportError; that is where it was caught."""
    for one in node.handlers:
        names = {getattr(part, "id", getattr(part, "attr", None)) for part in walk(one.type)}
        if one.type is None or names & _CATCHES:
            return {"file": file, "line": one.lineno}
    return None


_CATCHES = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def _references(node: "Any") -> "Iterator[tuple[str, str | None]]":
    """(name, None) of a plain name, (module alias, name) of `alias.name`."""
    for part in walk(node):
        if type(part).__name__ == "Attribute" and type(part.value).__name__ == "Name":
            yield part.value.id, part.attr
        elif type(part).__name__ == "Name":
            yield part.id, None


def _missing(
    files: "Files", where: "Frame", reference: tuple[str, str | None], earlier: "list[Earlier]"
) -> "Swallowed | None":
    """As `swallowed` or `replaced`, also where the name comes from a module that has the `try`."""
    name, attribute = reference
    source = files.source(where.file)
    if source is None:
        return None
    if attribute is None:
        found = swallowed(source, where.file, name, earlier) or replaced(
            source, where.file, name, earlier
        )
        if found is not None:
            return found
    for binding in source.bindings(name):
        origin = binding.origin(name, package_of(where)) if binding.is_import else None
        if origin is None:
            continue
        module, inside = origin
        if inside is not None and files.file_of(f"{module}.{inside}"):
            module, inside = f"{module}.{inside}", None  # `from package import module`
        wanted = attribute if inside is None else inside
        home = files.file_of(module)
        if wanted is None or home is None or home == where.file:
            continue
        there = files.source(home)
        found = swallowed(there, home, wanted, earlier) or replaced(there, home, wanted, earlier)
        if found is not None:
            return found
    return None


def package_of(where: "Frame") -> str | None:
    """The package that a file's relative imports start from."""
    if where.module is None or where.module == "__main__":
        return None
    if where.file.endswith("__init__.py"):
        return where.module
    return where.module.rpartition(".")[0] or None


def _failed_in(
    node: "Any", file: str, earlier: "list[Earlier]", upto: int | None
) -> "Earlier | None":
    first = node.body[0].lineno
    last = node.body[-1].end_lineno if upto is None else upto
    for failure in earlier:
        if failure.file == file and failure.line and first <= failure.line <= last:
            return failure
    return None


def _inside(line: int, body: "list[Any]") -> bool:
    return bool(body[0].lineno <= line <= body[-1].end_lineno)
