"""One builder for each kind of cause that more than one judge can come to. Pure and stdlib-free."""

from importtrace.analysis import guards, lookup
from importtrace.analysis.links import (
    cycle_across,
    cycle_own,
    entry,
    find_open,
    mend,
    new,
    reason,
    take_root,
    who,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from importtrace.analysis.facts import Earlier, Failure, Files, Frame, OpenLoad
    from importtrace.analysis.links import Cause


def half_built(
    kind: str,
    failure: "Failure",
    files: "Files",
    module: str,
    name: str,
    opened: "OpenLoad | None",
    line: int | None,
) -> "Cause":
    cause = new(kind, failure, module, name)
    file = failure.files.get(module)
    asker = failure.frames[-1].module if failure.frames else "the importer"
    if opened is not None:
        cause["partial"] = partial_of(failure, opened)
    if line and file:
        cause["bound_at"] = {"file": file, "line": line}
    stands = (
        f"stands at line {opened.line}" if opened is not None and opened.line else "is not over"
    )
    bound = f"{name!r} is bound only at line {line}" if line else f"{name!r} was not bound yet"
    if kind == "circular":
        cause["cycle"] = cycle_own(failure, files, module)
        cause["summary"] = (
            f"circular import: {asker} needs {name!r} from {module}, whose own body {stands}; {bound}"
        )
        cause["hint"] = (
            f"break the cycle: let {asker} import {module} where {name!r} is used, or move {name!r} "
            "to a module that both can import"
        )
        return cause
    cycle = cycle_across(failure, files, module)
    if cycle:
        cause["cycle"] = cycle
    cause["waits"] = list(failure.waits)
    builder = opened.thread if opened is not None else (cause.get("partial") or {}).get("thread")
    if builder is None and failure.handout is not None:
        builder = failure.handout.builder
    deadlock = failure.handout is not None and failure.handout.deadlock
    built = (
        f"{module} is being built by {who(builder)}, and its body {stands}; "
        if opened is not None
        # what it looks like by now says nothing of the moment at which it was handed out
        else f"{module} was still being built by {who(builder)} when this thread asked for it; "
    )
    cause["summary"] = (
        f"import race: {built}"
        + ("waiting would have been a deadlock, so " if deadlock else "")
        + f"this thread was handed the half-built module; {bound}"
    )
    cause["hint"] = (
        f"import {entry(failure)} once, in one thread, before the threads start; "
        "the cycle is what makes the race possible"
    )
    return cause


def partial_of(failure: "Failure", opened: "OpenLoad") -> "dict[str, Any]":
    held: dict[str, Any] = {"thread": opened.thread, "module": opened.module}
    if opened.line:
        held.update(file=opened.file, line=opened.line)
    partial = {"module": opened.module, "state": opened.state, "held_by": held}
    if opened.module in failure.bound:
        partial["bound_names"] = list(failure.bound[opened.module])
    return partial


def failed_there(
    failure: "Failure", files: "Files", module: str, name: str, earlier: "Earlier", waited_ms: float
) -> "Cause":
    cause = new("failed_in_other_thread", failure, module, name)
    take_root(cause, earlier)
    cause["partial"] = {
        "module": module,
        "state": "failed",
        "held_by": {"thread": earlier.thread, "module": module},
    }
    file = failure.files.get(module)
    source = files.source(file)
    bindings = source.bindings(name) if source is not None else []
    if bindings and file:
        cause["bound_at"] = {"file": file, "line": bindings[0].line}
    waits = list(failure.waits)
    if not waits and waited_ms:
        waits = [
            {
                "thread": failure.thread,
                "for": module,
                "held_by": earlier.thread,
                "ms": waited_ms,
            }
        ]
    cause["waits"] = waits
    cause["summary"] = (
        f"this thread waited for {who(earlier.thread)} to import {module}; that import failed "
        f"({reason(earlier)}), and what was handed out is the object it left behind"
    )
    cause["hint"] = mend(earlier)
    return cause


def absent(failure: "Failure", files: "Files", module: str, name: str) -> "Cause":
    """The module has no such name, and no import that is going on will change that."""
    file = failure.files.get(module)
    source = files.source(file)
    stars = lookup.offering(failure, files, source, file, name)
    swallowed = guards.swallowed(source, file, name, failure.earlier, stars)
    if swallowed is not None:
        return swallowed_earlier(failure, module, swallowed)
    if failure.left_by is not None:
        left = failure.left_by
        if not left.own:
            return failed_there(failure, files, module, name, left, 0)
        caught_at = guards.caught_around(files.source(left.file), left.file or "", left.line or 0)
        bindings = source.bindings(name) if source is not None else []
        at = {"file": file, "line": bindings[0].line} if bindings else None
        return swallowed_earlier(failure, module, guards.Swallowed(name, left, caught_at, at))
    if module in failure.twins:
        cause = new("duplicate_module", failure, module, name)
        other = failure.twins[module]
        cause["summary"] = (
            f"{file} was loaded twice, as {other} and as {module}; {name!r} is bound in {other} only"
        )
        cause["hint"] = "import it by one name; run a package's module with -m, not as a script"
        return cause
    child = f"{module}.{name}"
    before = next((one for one in failure.earlier if one.module == child), None)
    if before is not None:
        caught_at = guards.caught_around(
            files.source(before.file), before.file or "", before.line or 0
        )
        return swallowed_earlier(failure, module, guards.Swallowed(name, before, caught_at, None))
    if lookup.submodule(failure, files, module, name):
        cause = new("missing_name", failure, module, name)
        cause["summary"] = (
            f"{module}.{name} is a submodule that nobody has imported; "
            f"importing {module} does not import it"
        )
        cause["hint"] = f"write 'import {module}.{name}'"
        return cause
    meant = lookup.other_module(failure, files, module, name)
    if meant is not None:
        return shadowed(failure, module, meant, f"has no {name!r}", name)
    cause = new("missing_name", failure, module, name)
    dist = lookup.distribution(files, module, file)
    came = f" ({dist[0]} {dist[1]})" if dist else f" ({file})" if file else ""
    bindings = lookup.others(failure, source, module, name) if source is not None else []
    half = (
        " (its body is not over, but no later statement binds it)"
        if find_open(failure, module)
        else ""
    )
    if failure.present:
        # (the cause of an exception that left no load is asked for when it is too late to look)
        cause["summary"] = (
            f"{module}{came} had no {name!r} when it was asked for, and has it by now"
        )
        if bindings and file:
            cause["bound_at"] = {"file": file, "line": bindings[-1].line}
        return cause
    if bindings and file:
        cause["bound_at"] = {"file": file, "line": bindings[-1].line}
        line = bindings[-1].line
        cause["summary"] = f"{module}{came} has no {name!r}{half}: line {line} " + (
            "would bind it, in a branch that did not run"
            if bindings[-1].conditional
            else "would bind it; it did not get that far, or the name was deleted"
            if bindings[-1].path  # the exit of a `with` may suppress what its body raised
            else "bound it, and it is gone"
        )
    elif source is not None and file and (typed := source.binding_for_types(name)) is not None:
        cause["bound_at"] = {"file": file, "line": typed.line}
        cause["summary"] = (
            f"{module}{came} has no {name!r}{half}: line {typed.line} is for type checkers only "
            "(if TYPE_CHECKING)"
        )
        origin = typed.origin(name, _package(failure, module))
        if origin is not None:
            cause["hint"] = (
                f"import it from {origin[0]}" if origin[1] else f"import {origin[0]}"
            ) + ", or under TYPE_CHECKING here too"
        return cause
    elif file is None and failure.packages.get(module) and source is None:
        folder = failure.packages[module][0]
        cause["summary"] = (
            f"{module} has no {name!r}: it is a namespace package, the folder {folder} "
            "without an __init__.py"
        )
    else:
        cause["summary"] = f"{module}{came} has no {name!r}{half}"
        if failure.import_error and failure.packages.get(module):
            cause["summary"] += (
                f", and no submodule of that name is in {failure.packages[module][0]}"
            )
    near = lookup.near(name, failure.bound.get(module, ()))
    near = near or lookup.near(name, lookup.submodules(failure, files, module))
    if near is None and source is not None and find_open(failure, module):
        near = lookup.near(name, tuple(lookup.all_names(source)))
    if near:
        cause["hint"] = f"did you mean {near!r}?"
    elif dist:
        cause["hint"] = f"check which version of {dist[0]} has it"
    elif any(one.file == file and one.module == "__main__" for one in failure.frames):
        cause["hint"] = f"the script imports itself; if another {module} was meant, rename {file}"
    elif file and (hidden := lookup.behind(failure, files, module)) is not None:
        cause["hint"] = f"it stands in front of {hidden}; if that was meant, rename {file}"
    return cause


def _package(failure: "Failure", module: str) -> str | None:
    return module if module in failure.packages else module.rpartition(".")[0] or None


def loaded_again(failure: "Failure", files: "Files") -> "Cause | None":
    """A cycle that is there only because the entry script was imported once more by its own name.

    Proof: the names that were asked of it are bound in `__main__`, which is the same file.
    """
    main = failure.files.get("__main__")
    frames = failure.frames
    # not itertools.pairwise: even a built-in module would be new in the program's sys.modules
    for asking, asked in zip(frames, frames[1:], strict=False):  # noqa: RUF007
        if not asked.body or asked.file != main or asked.module == "__main__":
            continue
        source = files.source(asking.file)
        wanted = source.import_names(asking.line, asked.module) if source is not None else None
        if wanted and set(wanted) <= set(failure.bound.get("__main__", ())):
            cause = new("duplicate_module", failure, asked.module, wanted[0])
            cause["summary"] = (
                f"{main} runs as __main__ and was loaded a second time as {asked.module}, because "
                f"{asking.module} imports it by that name; {', '.join(wanted)} is bound in __main__"
            )
            cause["hint"] = (
                f"move what {asking.module} needs to a module of its own, and import it from there"
            )
            return cause
    return None


def class_twin(failure: "Failure", files: "Files") -> "Cause | None":
    """One file, two modules, two classes of one name: a handler or an isinstance() that should have
    known the object did not."""
    home, _, name = failure.type.rpartition(".")
    twin = failure.twins.get(home)
    if twin and any(
        guards.catches(files.source(frame.file), frame.line, name) for frame in failure.frames
    ):
        return _two_classes(failure, files, home, twin, name, "the handler names")
    where = failure.frames[-1]
    source = files.source(where.file)
    for variable, wanted in guards.instances_tested(source, where.line):
        for module, found in failure.types.get(variable, ()):
            other = failure.same_file.get(module)
            if not other or found != wanted or source is None:
                continue
            package = guards.package_of(where)
            origins = [binding.origin(wanted, package) for binding in source.bindings(wanted)]
            if (other, wanted) in origins:
                return _two_classes(failure, files, module, other, wanted, "was tested for")
    return None


def _two_classes(
    failure: "Failure", files: "Files", home: str, other: str, name: str, how: str
) -> "Cause":
    cause = new("duplicate_module", failure, home, name)
    cause["summary"] = (
        f"{failure.files.get(home) or files.file_of(home)} was loaded twice, as {other} and as {home}; "
        f"{home}.{name} is not the class {other}.{name} that {how}"
    )
    cause["hint"] = "import it by one name everywhere"
    return cause


def shadowed(
    failure: "Failure", module: str, other: str, lacks: str, name: str | None = None
) -> "Cause":
    cause = new("shadowed", failure, module, name)
    file = failure.files.get(module)
    cause["summary"] = (
        f"{file} stands in front of {other}: it is the {module} that was found, and {lacks}"
    )
    cause["hint"] = f"rename {file}"
    return cause


def swallowed_earlier(failure: "Failure", module: str | None, found: "guards.Swallowed") -> "Cause":
    cause = new("swallowed_earlier", failure, module, found.name)
    take_root(cause, found.earlier)
    cause.pop("cycle", None)
    caught, at = found.caught_at, ""
    if caught:
        cause["caught_at"] = caught
        at = f" at {caught['file']}, line {caught['line']}"
    if found.bound_at:
        cause["bound_at"] = found.bound_at
    cause["summary"] = (
        f"{found.name!r} is missing because the import of {found.earlier.module} failed earlier "
        f"({reason(found.earlier)}), and that failure was caught{at}"
    )
    cause["hint"] = mend(found.earlier)
    return cause


def orphaned(
    failure: "Failure",
    files: "Files",
    module: str,
    name: str | None = None,
    line: int | None = None,
) -> "Cause":
    """The module's builder stayed behind in the process that this one was forked from.

    `name` was missing from the half-built module, which would have bound it at `line`.
    """
    cause = new("orphaned_lock", failure, module, name)
    if not failure.type:
        del cause["root"]  # an import that hangs: nothing was raised
    orphan = failure.orphans[module]
    held: dict[str, Any] = {"thread": orphan["thread"], "module": module}
    stood = ""
    if orphan.get("line"):
        held.update(file=orphan["file"], line=orphan["line"])
        stood = f" (at {orphan['file']}, line {orphan['line']})"
    cause["partial"] = {"module": module, "held_by": held}
    if module in failure.bound:
        cause["partial"]["bound_names"] = list(failure.bound[module])
    file = failure.files.get(module)
    if line and file:
        cause["bound_at"] = {"file": file, "line": line}
    if failure.waits:
        cause["waits"] = list(failure.waits)
    forked = (
        f"{who(orphan['thread'])} was importing it{stood} in process {orphan['pid']} when this process "
        "was forked from that one, and does not exist here"
    )
    if name is None:
        cause["summary"] = f"the import of {module} can never finish in this process: {forked}"
    else:
        cause["summary"] = f"{module} stays half-built in this process, without {name!r}: {forked}"
    cause["hint"] = f"import {module} before forking, or start the process by spawn or forkserver"
    return cause


def in_a_running_loop(failure: "Failure") -> bool:
    """asyncio refuses what the body asks of it, and its loop is what called whoever imports the module."""
    frames = failure.frames
    if failure.type != "RuntimeError" or not _of_asyncio(frames[-1] if frames else None):
        return False
    for frame in frames:
        if frame.body and frame.module == failure.load:
            return False
        if _of_asyncio(frame):
            return True
    return False


def _of_asyncio(frame: "Frame | None") -> bool:
    return frame is not None and (frame.module or "").partition(".")[0] == "asyncio"
