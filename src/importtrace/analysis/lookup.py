"""What source files and folders say about a name or a module. Pure (folders through `files`), stdlib-free."""

from importtrace.analysis.guards import package_of
from importtrace.analysis.statements import Source, _bound_by, absolute, statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from importtrace.analysis.facts import Failure, Files, Frame
    from importtrace.analysis.statements import Binding


def can_bind(source: "Source | None", name: str) -> bool:
    """Whether any statement may bind `name`; True where the text does not tell."""
    if source is None or source.tree is None:
        return True
    return bool(source.bindings(name) or source.stars()) or source.binds_by_other_means(name)


def would_bind(
    failure: "Failure", files: "Files", module: str, name: str, line: int | None
) -> tuple[str, int | None]:
    """Whether a module body that stands at `line` was still going to bind `name`.

    ("later", line of that statement or None), ("passed", None): only statements it has left behind
    bind it, ("never", None), or ("unknown", None): the text does not tell.
    """
    source = files.source(failure.files.get(module))
    if source is None or source.tree is None or not line:
        return "unknown", None
    package = module if module in failure.packages else module.rpartition(".")[0] or None
    bindings = []
    for binding in others(failure, source, module, name):
        origin = binding.origin(name, package) if binding.is_import else None
        asks_itself = origin == (module, name) and not submodule(failure, files, module, name)
        if not asks_itself:
            bindings.append(binding)
    for binding in bindings:
        if binding.end >= line:
            return "later", binding.line
    for star in source.stars():
        if (star.end_lineno or star.lineno) >= line:
            there = files.source(files.file_of(absolute(star, package) or ""))
            if there is None or there.bindings(name) or there.stars():
                return "later", None
    if source.binds_by_other_means(name):
        return "unknown", None
    return ("passed" if bindings else "never"), None


def others(failure: "Failure", source: "Source", module: str, name: str) -> "list[Binding]":
    """The statements that can bind `name`, without the one that failed for the lack of it."""
    where = failure.frames[-1] if failure.frames else None
    found = source.bindings(name)
    if where is None or where.module != module or where.file != failure.files.get(module):
        return found
    return [one for one in found if not one.line <= where.line <= one.end]


def asked_at(files: "Files", frame: "Frame", module: str) -> int | None:
    """The line of the import statement above `frame.line` that asks for `module`."""
    source = files.source(frame.file)
    found = None
    for node, _ in statements(source.tree, into_functions=True) if source is not None else ():
        if node.lineno > frame.line:
            continue
        kind = type(node).__name__
        if kind == "Import" and any(
            alias.name == module or alias.name.startswith(module + ".") for alias in node.names
        ):
            found = node.lineno
        elif kind == "ImportFrom":
            base = absolute(node, package_of(frame))
            names = [f"{base}.{alias.name}" for alias in node.names]
            if base == module or module in names:
                found = node.lineno
    return found


def sibling(failure: "Failure", files: "Files") -> "tuple[Frame, str] | None":
    """A body that an importer got in place of its own neighbour: (that body's frame, the neighbour).

    Proof: the module that was meant lies in the importer's own folder, further down the path.
    """
    for asking, asked in zip(failure.frames, failure.frames[1:], strict=False):
        if not asked.body or not asked.module or "." in asked.module:
            continue
        failure.files.setdefault(asked.module, asked.file)
        folder = asking.file.rpartition("/")[0]
        if not folder:
            continue  # a statement of no file's: `-c`, an entry of a race
        for candidate in _candidates(failure, files, asked.module):
            home = candidate.rpartition("/")[0]
            if candidate.endswith("/__init__.py"):
                home = home.rpartition("/")[0]
            if home == folder:
                return asked, candidate
    return None


def all_names(source: "Source") -> "Iterable[str]":
    for node, _ in statements(source.tree):
        yield from _bound_by(node)


def submodule(failure: "Failure", files: "Files", module: str, name: str) -> bool:
    """Whether `module.name` is a file or folder that could be imported."""
    return any(_find(files, folder, name) for folder in failure.packages.get(module, ()))


def other_module(failure: "Failure", files: "Files", module: str, name: str) -> str | None:
    """Another file of this top-level name, further down the path, that does bind `name`."""
    for candidate in _candidates(failure, files, module):
        if _offers(failure, files, candidate, name, MOST_STARS):
            return candidate
    return None


def behind(failure: "Failure", files: "Files", module: str) -> str | None:
    """The next file of this top-level name further down the path."""
    return next(iter(_candidates(failure, files, module)), None)


MOST_STARS = 3  # files, one star import behind the other


def _offers(failure: "Failure", files: "Files", file: str, name: str, stars: int) -> bool:
    """Whether the text of this file, or of what it star-imports, binds `name`: `datetime` has all that it
    has from `_datetime` or `_pydatetime`."""
    source = files.source(file) if file.endswith(".py") else None
    if source is None:
        return False
    if source.bindings(name):
        return True
    return any(_offered_by(star, failure, files, file, name, stars) for star in source.stars())


def offering(
    failure: "Failure", files: "Files", source: "Source | None", file: str | None, name: str
) -> "tuple[Binding, ...]":
    """The star imports of this file whose module has the name."""
    if source is None or file is None:
        return ()
    return tuple(
        star
        for star in source.star_bindings()
        if _offered_by(star.node, failure, files, file, name, MOST_STARS)
    )


def _offered_by(
    star: "Any", failure: "Failure", files: "Files", file: str, name: str, stars: int
) -> bool:
    if not stars or not star.module:
        return False
    folders = (file.rsplit("/", star.level)[0],) if star.level else failure.path
    found = _first(files, folders, star.module)
    source = files.source(found)
    if found is None or source is None or not source.exports(name):
        return False
    return _offers(failure, files, found, name, stars - 1)


def _first(files: "Files", folders: "Iterable[str]", module: str) -> str | None:
    """The file by which `import module` would find it, if these folders are all there is to look into."""
    top, *rest = module.split(".")
    found = next(filter(None, (_find(files, folder, top) for folder in folders)), None)
    for part in rest:
        home, _, last = (found or "").rpartition("/")
        found = _find(files, home, part) if last == "__init__.py" else None
    return found


def other_package(
    failure: "Failure", files: "Files", module: str, child: str | None = None
) -> str | None:
    """A package of this top-level name further down the path (that has this submodule)."""
    for candidate in _candidates(failure, files, module):
        folder, _, last = candidate.rpartition("/")
        if last == "__init__.py" and (child is None or _find(files, folder, child)):
            return candidate
    return None


def _candidates(failure: "Failure", files: "Files", module: str) -> "Iterable[str]":
    if "." in module:
        return
    own = failure.files.get(module)
    behind = False
    for folder in failure.path:
        found = _find(files, folder, module)
        if found is None:
            continue
        if found == own:
            behind = True
        elif behind:
            yield found


def _find(files: "Files", folder: str, name: str) -> str | None:
    """The file by which `import name` would find it in this folder."""
    entries = files.names(folder)
    if name in entries:
        inner = files.names(f"{folder}/{name}")
        if "__init__.py" in inner:
            return f"{folder}/{name}/__init__.py"
    if f"{name}.py" in entries:
        return f"{folder}/{name}.py"
    for entry in entries:
        if entry.startswith(name + ".") and entry.endswith((".so", ".pyd", ".pyc")):
            return f"{folder}/{entry}"
    if name in entries and files.names(f"{folder}/{name}"):
        return f"{folder}/{name}"  # a namespace package
    return None


def near_module(failure: "Failure", files: "Files", name: str) -> str | None:
    """A module with nearly this name, where this one was looked for."""
    parent, _, last = name.rpartition(".")
    found: set[str] = set()
    for folder in failure.parent_path if parent else failure.path:
        for entry in files.names(folder):
            stem = entry.partition(".")[0]
            if (entry.endswith(".py") or "." not in entry) and stem.isidentifier():
                found.add(stem)
    match = near(last, tuple(found))
    return f"{parent}.{match}" if match and parent else match


def searched(failure: "Failure", name: str) -> str:
    folders = failure.parent_path if "." in name else failure.path
    if not folders:
        return "any finder"
    if len(folders) == 1:
        return folders[0] or "the current folder"
    return f"{folders[0] or 'the current folder'} and {len(folders) - 1} more folders"


def near(name: str, candidates: tuple[str, ...]) -> str | None:
    """The candidate that differs from `name` by case, underscores, or one typing slip."""
    plain = name.replace("_", "").lower()
    best = None
    for candidate in sorted(candidates):
        if candidate == name or candidate.startswith("__"):
            continue
        if candidate.replace("_", "").lower() == plain:
            return candidate
        if len(name) > 3 and _one_slip(name, candidate):
            best = best or candidate
    return best


def _one_slip(a: str, b: str) -> bool:
    """One letter more, less, other, or two swapped."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    end = 0
    while end < min(len(a), len(b)) and a[-1 - end] == b[-1 - end]:
        end += 1
    a, b = a[: len(a) - end], b[: len(b) - end]
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1])


def library(message: str | None) -> str | None:
    """The shared library the dynamic linker named: "libfoo.so.1: cannot open shared object file"."""
    for mark in (": cannot open shared object file", ": No such file or directory"):
        head, found, _ = (message or "").partition(mark)
        if found and ".so" in head:
            return head.strip().rpartition("/")[2]
    head, found, tail = (message or "").partition("Library not loaded: ")  # macOS
    if found:
        return tail.split("\n")[0].strip().rpartition("/")[2]
    return None


def distribution(files: "Files", module: str, file: str | None) -> tuple[str, str] | None:
    """(distribution, version) by the .dist-info folders beside the top-level package: the one that is named
    alike, or that lists it in its top_level.txt."""
    if not file:
        return None
    top = module.partition(".")[0]
    for mark in ("site-packages", "dist-packages"):
        head, found, _ = file.partition(f"/{mark}/")
        if not found:
            continue
        folder = f"{head}/{mark}"
        infos = [entry for entry in files.names(folder) if entry.endswith(".dist-info")]
        for alike in (True, False):
            for entry in infos:
                name, _, version = entry[: -len(".dist-info")].rpartition("-")
                if alike and name.replace("-", "_").lower() != top.lower():
                    continue
                if not alike:
                    tops = files.text(f"{folder}/{entry}/top_level.txt") or ""
                    if top not in tops.split():
                        continue
                return _name_in(files, f"{folder}/{entry}/METADATA") or name, version
    return None


def _name_in(files: "Files", metadata: str) -> str | None:
    for line in (files.text(metadata) or "").splitlines():
        if line.startswith("Name:"):
            return line[len("Name:") :].strip()
        if not line:
            break
    return None


def submodules(failure: "Failure", files: "Files", module: str) -> tuple[str, ...]:
    """Names of the files and folders that could be submodules."""
    found = set()
    for folder in failure.packages.get(module, ()):
        for entry in files.names(folder):
            stem = entry.partition(".")[0]
            if (entry.endswith(".py") or "." not in entry) and stem.isidentifier():
                found.add(stem)
    return tuple(found)
