"""From what was observed of a failure to its cause, in the shape of the contract (docs/causes.md).

    explain(failure, files) -> {"kind", "module", "name", "summary", …}

Pure and stdlib-free: it runs inside a failing import. The order of the judges is the order of
evidence: a fact that was observed (a lock, a failure in another thread) comes before what the source
says, and what the source says before a guess, of which there are none: a judge that cannot prove its
kind returns None, and the last one says only that the body raised.
"""

from __future__ import annotations

from importtrace.analysis import guards, lookup
from importtrace.analysis.facts import Earlier, Failure, Files, Frame, OpenLoad
from importtrace.analysis.statements import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Cause = dict[str, Any]


def explain(failure: Failure, files: Files) -> Cause | None:
    """The cause of one failure; None if no import has anything to do with it."""
    for judge in (
        _deadlock,
        _parent_gone,
        _stopped,
        _in_front,
        _missing,
        _name,
        _machinery,
        _raised,
    ):
        cause = judge(failure, files)
        if cause is not None:
            return _finish(cause, failure, files)
    return None


# judges ------------------------------------------------------------------------------------


def _deadlock(failure: Failure, files: Files) -> Cause | None:
    """CPython's own detector: two threads took module locks in opposite order."""
    if not failure.deadlock:
        return None
    module = failure.load or (failure.waits[0]["for"] if failure.waits else None)
    wanted = next(
        (wait for wait in failure.waits if wait["thread"] == failure.thread),
        None,
    )
    if wanted is not None:
        module = wanted["for"]
    cause = _cause("lock_order", failure, module)
    parts = [
        f"{_who(wait['thread'])} waited for {wait['for']} (held by {_who(wait['held_by'])})"
        for wait in failure.waits
    ]
    cause["summary"] = (
        "threads took module locks in opposite order, and waiting would never have ended"
        + (": " + "; ".join(parts) if parts else "")
    )
    cause["hint"] = (
        "import the package once, in one thread, before the threads start"
        if module
        else "import what the threads need before they start"
    )
    cause["waits"] = _waits(failure)
    return cause


def _parent_gone(failure: Failure, files: Files) -> Cause | None:
    """KeyError out of importlib: the parent package was there, and its load failed meanwhile."""
    if failure.type != "KeyError" or failure.parent_failed is None:
        return None
    earlier = failure.parent_failed
    cause = _cause("failed_in_other_thread", failure, earlier.module)
    _from_earlier(cause, earlier)
    cause["partial"] = {
        "module": earlier.module,
        "state": "failed",
        "held_by": {"thread": earlier.thread, "module": earlier.module},
    }
    cause["waits"] = _waits(failure)
    cause["summary"] = (
        f"while this thread imported {failure.load or 'a submodule'}, {_who(earlier.thread)} was "
        f"still importing its package {earlier.module}; that failed, and importlib took the package "
        f"away: the KeyError only says so"
    )
    cause["hint"] = _fix_root(earlier)
    return cause


def _stopped(failure: Failure, files: Files) -> Cause | None:
    """`None` in sys.modules, or a finder that refuses."""
    if failure.search_stopped is None or not failure.import_error:
        return None
    cause = _cause("blocked", failure, failure.name or failure.load)
    if failure.search_stopped == "none":
        cause["summary"] = (
            f"{cause['module']} is blocked: sys.modules[{cause['module']!r}] is None, "
            "so that every import of it fails"
        )
        cause["hint"] = f"find what sets sys.modules[{cause['module']!r}] = None"
    else:
        where = failure.frames[-1] if failure.frames else None
        cause["summary"] = f"a finder on sys.meta_path refused {failure.load}" + (
            f" (in {where.file}, line {where.line})" if where else ""
        )
        cause["hint"] = "look at the finder, not at the module"
    return cause


def _in_front(failure: Failure, files: Files) -> Cause | None:
    """Somebody imported his neighbour and got a file of the user's, and that went wrong."""
    if failure.not_found and failure.missing is None:
        return None
    found = lookup.sibling(failure, files)
    if found is None or failure.load is None:
        return None
    asked, meant = found
    assert asked.module is not None
    cause = _cause("shadowed", failure, asked.module)
    cause["summary"] = (
        f"{asked.file} stands in front of {meant}, which was meant; "
        f"the message blames {failure.missing[0] if failure.missing else failure.load}"
    )
    cause["hint"] = f"rename {asked.file}"
    return cause


def _missing(failure: Failure, files: Files) -> Cause | None:
    """A module was handed out, and a name was not in it."""
    if failure.missing is None:
        return None
    module, name = failure.missing
    handed = failure.handout if failure.handout and failure.handout.module == module else None
    opened = _open(failure, module)
    child = f"{module}.{name}"
    if failure.handout is not None and failure.handout.module == child:
        if failure.handout.failed is not None:  # `import a.b as b`, and a.b failed elsewhere
            waited = failure.handout.waited_ms
            return _failed_there(failure, files, child, name, failure.handout.failed, waited)
    if handed is not None and handed.failed is not None and not handed.own:
        return _failed_there(failure, files, module, name, handed.failed, handed.waited_ms)
    if opened is None and handed is not None and handed.deadlock:
        cause = _partial("thread_race", failure, files, module, name, None, None)
        cause["partial"] = {"module": module, "held_by": {"thread": handed.builder}}
        return cause
    if opened is None:
        return _absent(failure, files, module, name)
    found, line = lookup.would_bind(failure, files, module, name, opened.line)
    if found in ("never", "passed"):
        return _absent(failure, files, module, name)
    if found == "unknown" and lookup.submodule(failure, files, module, name):
        return _absent(failure, files, module, name)
    if opened.own:
        again = _loaded_again(failure, files)
        if again is not None:
            return again
    kind = "circular" if opened.own else "thread_race"
    return _partial(kind, failure, files, module, name, opened, line)


def _name(failure: Failure, files: Files) -> Cause | None:
    """NameError: a star import of a half-built module, or a guarded import that failed."""
    if failure.type not in ("NameError", "UnboundLocalError") or failure.name is None:
        return None
    where = failure.frames[-1] if failure.frames else None
    if where is None:
        return None
    for star in failure.handouts:
        opened = _open(failure, star.module)
        source = files.source(star.file)
        if opened is None or source is None or source.import_names(star.line) != ("*",):
            continue
        found, line = lookup.would_bind(failure, files, star.module, failure.name, opened.line)
        if found == "later" and line:
            kind = "circular" if opened.own else "thread_race"
            return _partial(kind, failure, files, star.module, failure.name, opened, line)
    swallowed = guards.swallowed(files.source(where.file), where.file, failure.name, failure.earlier)
    return _swallowed(failure, where.module, swallowed) if swallowed is not None else None


def _machinery(failure: Failure, files: Files) -> Cause | None:
    """importlib itself said no."""
    if not failure.import_error or failure.raised_in is None:
        return None
    name = failure.name or failure.load
    if failure.stage == "create":
        library = lookup.library(failure.message)
        cause = _cause("native_library", failure, failure.load, library)
        what = f"the library {library} is missing" if library else "it could not be linked"
        symbol = (failure.message or "").partition("undefined symbol: ")[2]
        if symbol:
            what += f": no library has the symbol {symbol}"
        cause["summary"] = f"the extension module {failure.load} was found, but {what}"
        cause["hint"] = (
            f"install the system package that has {library}"
            if library
            else "reinstall the distribution for this platform and this Python"
        )
        return cause
    if not failure.not_found or name is None:
        return None
    parent = name.rpartition(".")[0]
    if parent and parent in failure.files and parent not in failure.packages:
        other = lookup.other_package(failure, files, parent)
        if other is not None:
            return _shadowed(failure, parent, other, f"has no submodule {name!r}: it is no package")
    elif parent and parent in failure.packages:
        other = lookup.other_package(failure, files, parent, name.rpartition(".")[2])
        if other is not None:
            return _shadowed(failure, parent, other, f"has no submodule {name!r}")
    cause = _cause("not_found", failure, name)
    near = lookup.near_module(failure, files, name)
    if parent and parent in failure.files and parent not in failure.packages:
        cause["summary"] = f"no module {name!r}: {parent} is a module, not a package"
    else:
        cause["summary"] = f"no module {name!r} in " + lookup.searched(failure, name)
    if near:
        cause["hint"] = f"did you mean {near!r}?"
    elif not parent:
        cause["hint"] = (
            f"install the distribution that has {name!r} into this environment, "
            "or add its folder to sys.path"
        )
    return cause


def _raised(failure: Failure, files: Files) -> Cause | None:
    """The body, or something that it called, raised."""
    if failure.context is not None:
        earlier = failure.context
        cause = _cause("dependency_failed", failure, failure.load or earlier.module)
        _from_earlier(cause, earlier)
        cause["summary"] = (
            f"{failure.type} was raised because the import of {earlier.module} failed "
            f"({_reason(earlier)})"
        )
        cause["hint"] = _fix_root(earlier)
        return cause
    where = failure.frames[-1] if failure.frames else None
    if where is not None:
        guard = guards.guard(files, where, failure.earlier)
        if guard is None and failure.of_none:
            guard = guards.none_guard(files, where, failure.of_none, failure.earlier)
        if guard is not None:
            return _swallowed(failure, failure.load or where.module, guard)
        twin = _class_twin(failure, files)
        if twin is not None:
            return twin
    if failure.load is None:
        return None
    cause = _cause("body_raised", failure, failure.load)
    cause["summary"] = f"the body of {failure.load} raised {failure.type}"
    if where is not None and where.module != failure.load:
        cause["summary"] += f" (in {where.module})"
    if where is not None:
        _half_built_names(cause, failure, files, where)
    return cause


def _half_built_names(cause: Cause, failure: Failure, files: Files, where: Frame) -> None:
    """A fact worth seeing beside another error: the statement uses names of a half-built module."""
    source = files.source(where.file)
    node = source.node(where.line) if source is not None else None
    used = {part.id for part in walk(node) if type(part).__name__ == "Name"} if node else set()
    for handed in failure.handouts:
        opened = _open(failure, handed.module)
        names = source.import_names(handed.line) if source is not None else None
        taken = sorted(used & set(names or ()))
        if opened is None or not taken or handed.file != where.file:
            continue
        cause["partial"] = _half_built(failure, opened)
        cause["summary"] += (
            f"; {', '.join(taken)} came from {handed.module}, whose own body "
            + (f"stands at line {opened.line}" if opened.line else "is not over")
        )
        return


# one kind each -----------------------------------------------------------------------------


def _partial(
    kind: str,
    failure: Failure,
    files: Files,
    module: str,
    name: str,
    opened: OpenLoad | None,
    line: int | None,
) -> Cause:
    cause = _cause(kind, failure, module, name)
    file = failure.files.get(module)
    asker = failure.frames[-1].module if failure.frames else "the importer"
    if opened is not None:
        cause["partial"] = _half_built(failure, opened)
    if line and file:
        cause["bound_at"] = {"file": file, "line": line}
    stands = f"stands at line {opened.line}" if opened is not None and opened.line else "is not over"
    bound = f"{name!r} is bound only at line {line}" if line else f"{name!r} is not bound yet"
    if kind == "circular":
        cause["cycle"] = _cycle_own(failure, files, module)
        cause["summary"] = (
            f"circular import: {asker} needs {name!r} from {module}, whose own body {stands}; {bound}"
        )
        cause["hint"] = (
            f"break the cycle: let {asker} import {module} where {name!r} is used, or move {name!r} "
            "to a module that both can import"
        )
        return cause
    cycle = _cycle_across(failure, files, module)
    if cycle:
        cause["cycle"] = cycle
    cause["waits"] = _waits(failure)
    builder = opened.thread if opened is not None else (cause.get("partial") or {}).get("thread")
    if builder is None and failure.handout is not None:
        builder = failure.handout.builder
    deadlock = failure.handout is not None and failure.handout.deadlock
    cause["summary"] = (
        f"import race: {module} is being built by {_who(builder)}, and its body {stands}; "
        + ("waiting would have been a deadlock, so " if deadlock else "")
        + f"this thread was handed the half-built module; {bound}"
    )
    cause["hint"] = (
        f"import {_entry(failure)} once, in one thread, before the threads start; "
        "the cycle is what makes the race possible"
    )
    return cause


def _half_built(failure: Failure, opened: OpenLoad) -> dict[str, Any]:
    held: dict[str, Any] = {"thread": opened.thread, "module": opened.module}
    if opened.line:
        held.update(file=opened.file, line=opened.line)
    partial = {"module": opened.module, "state": opened.state, "held_by": held}
    if opened.module in failure.bound:
        partial["bound_names"] = list(failure.bound[opened.module])
    return partial


def _failed_there(
    failure: Failure, files: Files, module: str, name: str, earlier: Earlier, waited_ms: float
) -> Cause:
    cause = _cause("failed_in_other_thread", failure, module, name)
    _from_earlier(cause, earlier)
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
    waits = _waits(failure)
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
        f"this thread waited for {_who(earlier.thread)} to import {module}; that import failed "
        f"({_reason(earlier)}), and what was handed out is the object it left behind"
    )
    cause["hint"] = _fix_root(earlier)
    return cause


def _absent(failure: Failure, files: Files, module: str, name: str) -> Cause:
    """The module has no such name, and no import that is going on will change that."""
    file = failure.files.get(module)
    source = files.source(file)
    swallowed = guards.swallowed(source, file, name, failure.earlier)
    if swallowed is not None:
        return _swallowed(failure, module, swallowed)
    if failure.left_by is not None:
        left = failure.left_by
        if not left.own:
            return _failed_there(failure, files, module, name, left, 0)
        caught_at = guards.caught_around(files.source(left.file), left.file or "", left.line or 0)
        bindings = source.bindings(name) if source is not None else []
        at = {"file": file, "line": bindings[0].line} if bindings else None
        return _swallowed(failure, module, guards.Swallowed(name, left, caught_at, at))
    if module in failure.twins:
        cause = _cause("duplicate_module", failure, module, name)
        other = failure.twins[module]
        cause["summary"] = (
            f"{file} was loaded twice, as {other} and as {module}; {name!r} is bound in {other} only"
        )
        cause["hint"] = "import it by one name; run a package's module with -m, not as a script"
        return cause
    child = f"{module}.{name}"
    before = next((one for one in failure.earlier if one.module == child), None)
    if before is not None:
        caught_at = guards.caught_around(files.source(before.file), before.file or "", before.line or 0)
        return _swallowed(failure, module, guards.Swallowed(name, before, caught_at, None))
    if lookup.submodule(failure, files, module, name):
        cause = _cause("missing_name", failure, module, name)
        cause["summary"] = (
            f"{module}.{name} is a submodule that nobody has imported; "
            f"importing {module} does not import it"
        )
        cause["hint"] = f"write 'import {module}.{name}'"
        return cause
    other = lookup.other_module(failure, files, module, name)
    if other is not None:
        return _shadowed(failure, module, other, f"has no {name!r}", name)
    cause = _cause("missing_name", failure, module, name)
    dist = lookup.distribution(files, module, file)
    came = f" ({dist[0]} {dist[1]})" if dist else f" ({file})" if file else ""
    bindings = source.bindings(name) if source is not None else []
    half = " (its body is not over, but no later statement binds it)" if _open(failure, module) else ""
    if bindings and file:
        cause["bound_at"] = {"file": file, "line": bindings[-1].line}
        cause["summary"] = (
            f"{module}{came} has no {name!r}{half}: line {bindings[-1].line} would bind it, "
            "in a branch that did not run"
            if bindings[-1].conditional
            else f"{module}{came} has no {name!r}{half}: line {bindings[-1].line} bound it, "
            "and it is gone"
        )
    else:
        cause["summary"] = f"{module}{came} has no {name!r}{half}"
    near = lookup.near(name, failure.bound.get(module, ()))
    near = near or lookup.near(name, lookup.submodules(failure, files, module))
    if near is None and source is not None and _open(failure, module):
        near = lookup.near(name, tuple(lookup.all_names(source)))
    if near:
        cause["hint"] = f"did you mean {near!r}?"
    elif dist:
        cause["hint"] = f"check which version of {dist[0]} has it"
    return cause


def _loaded_again(failure: Failure, files: Files) -> Cause | None:
    """A cycle that is there only because the entry script was imported once more by its own name.

    Proof: the names that were asked of it are bound in `__main__`, which is the same file.
    """
    main = failure.files.get("__main__")
    frames = failure.frames
    for asking, asked in zip(frames, frames[1:], strict=False):
        if not asked.body or asked.file != main or asked.module == "__main__":
            continue
        source = files.source(asking.file)
        wanted = source.import_names(asking.line, asked.module) if source is not None else None
        if wanted and set(wanted) <= set(failure.bound.get("__main__", ())):
            cause = _cause("duplicate_module", failure, asked.module, wanted[0])
            cause["summary"] = (
                f"{main} runs as __main__ and was loaded a second time as {asked.module}, because "
                f"{asking.module} imports it by that name; {', '.join(wanted)} is bound in __main__"
            )
            cause["hint"] = (
                f"move what {asking.module} needs to a module of its own, and import it from there"
            )
            return cause
    return None


def _class_twin(failure: Failure, files: Files) -> Cause | None:
    """One file, two modules, two classes of one name: a handler or an isinstance() that should have
    known the object did not."""
    home, _, name = failure.type.rpartition(".")
    other = failure.twins.get(home)
    if other and any(
        guards.catches(files.source(frame.file), frame.line, name) for frame in failure.frames
    ):
        return _two_classes(failure, home, other, name, "the handler names")
    where = failure.frames[-1]
    source = files.source(where.file)
    for variable, wanted in guards.instances_tested(source, where.line):
        module, found = failure.types.get(variable, ("", ""))
        other = failure.same_file.get(module)
        if other is None or found != wanted or source is None:
            continue
        package = guards.package_of(where)
        origins = [binding.origin(wanted, package) for binding in source.bindings(wanted)]
        if (other, wanted) in origins:
            return _two_classes(failure, module, other, wanted, "was tested for")
    return None


def _two_classes(failure: Failure, home: str, other: str, name: str, how: str) -> Cause:
    cause = _cause("duplicate_module", failure, home, name)
    cause["summary"] = (
        f"{failure.files.get(home, 'one file')} was loaded twice, as {other} and as {home}; "
        f"{home}.{name} is not the class {other}.{name} that {how}"
    )
    cause["hint"] = "import it by one name everywhere"
    return cause


def _shadowed(
    failure: Failure, module: str, other: str, lacks: str, name: str | None = None
) -> Cause:
    cause = _cause("shadowed", failure, module, name)
    file = failure.files.get(module)
    cause["summary"] = f"{file} stands in front of {other}: it is the {module} that was found, and {lacks}"
    cause["hint"] = f"rename {file}"
    return cause


def _swallowed(failure: Failure, module: str | None, found: guards.Swallowed) -> Cause:
    cause = _cause("swallowed_earlier", failure, module, found.name)
    _from_earlier(cause, found.earlier)
    cause.pop("cycle", None)
    caught, at = found.caught_at, ""
    if caught:
        cause["caught_at"] = caught
        at = f" at {caught['file']}, line {caught['line']}"
    if found.bound_at:
        cause["bound_at"] = found.bound_at
    cause["summary"] = (
        f"{found.name!r} is missing because the import of {found.earlier.module} failed earlier "
        f"({_reason(found.earlier)}), and that failure was caught{at}"
    )
    cause["hint"] = _fix_root(found.earlier)
    return cause


# parts -------------------------------------------------------------------------------------


def _cause(kind: str, failure: Failure, module: str | None, name: str | None = None) -> Cause:
    cause: Cause = {"kind": kind}
    if module:
        cause["module"] = module
    if name:
        cause["name"] = name
    if failure.message is not None:
        cause["message"] = failure.message
    where = failure.frames[-1] if failure.frames else None
    root: dict[str, Any] = {"thread": failure.thread, "type": failure.type}
    if where is not None:
        root.update(file=where.file, line=where.line)
        if where.module:
            root["module"] = where.module
    elif failure.load:
        root["module"] = failure.load
    if failure.message is not None:
        root["message"] = failure.message
    cause["root"] = root
    return cause


def _from_earlier(cause: Cause, earlier: Earlier) -> None:
    cause["root"] = dict(earlier.root)
    cycle = cause["root"].pop("cycle", None)
    if cycle:
        cause["cycle"] = cycle


def _open(failure: Failure, module: str) -> OpenLoad | None:
    """The unfinished load of a module; this thread's own first."""
    found = [load for load in failure.open if load.module == module]
    return next((load for load in found if load.own), found[0] if found else None)


def _entry(failure: Failure) -> str:
    outermost = next((load.module for load in failure.open), None)
    return (outermost or failure.load or "the package").partition(".")[0]


def _waits(failure: Failure) -> list[dict[str, Any]]:
    return list(failure.waits)


def _link(frame: Frame, files: Files, with_thread: bool = False) -> dict[str, Any]:
    link: dict[str, Any] = {"module": frame.module, "file": frame.file, "line": frame.line}
    statement = files.statement(frame.file, frame.line)
    if statement:
        link["statement"] = statement
    if with_thread:
        link["thread"] = frame.thread
    return {key: value for key, value in link.items() if value is not None}


def _cycle_own(failure: Failure, files: Files, module: str) -> list[dict[str, Any]]:
    """From the half-built module's body down to the failing statement, and back to it."""
    links = _bodies_from(failure, files, module)
    return [*links, dict(links[0])] if links else []


def _bodies_from(failure: Failure, files: Files, module: str) -> list[dict[str, Any]]:
    bodies = [frame for frame in failure.frames if frame.body]
    start = next((n for n, frame in enumerate(bodies) if frame.module == module), None)
    if start is None:
        return []
    # A body's statement may be a class or a call; the import stands in the module's last frame.
    links: list[dict[str, Any]] = []
    since = failure.frames.index(bodies[start])
    for frame in failure.frames[since:]:
        if frame.body:
            links.append(_link(frame, files))
            body = frame
        elif frame.module == body.module and frame.file == body.file:
            links[-1] = _link(frame, files)
    last = failure.frames[-1]
    asked = lookup.asked_at(files, last, module)
    if asked is not None and links and links[-1]["file"] == last.file:
        links[-1] = _link(Frame(last.file, asked, last.module, True, last.thread), files)
    return links


def _cycle_across(failure: Failure, files: Files, module: str | None) -> list[dict[str, Any]]:
    """The ring over several threads: each body stands at a statement that needs the next module.

    Followed only along what was observed: a thread's own bodies from outside in, then the module it
    is blocked on, whose holder goes on. Empty where the ring does not close.
    """
    bodies = [frame for frame in failure.frames if frame.body]
    own = {frame.module for frame in bodies}
    links: list[dict[str, Any]] = []
    seen: set[str] = set()
    current = module
    while current is not None and current not in seen:
        seen.add(current)
        if current in own:
            links.extend(_bodies_from(failure, files, current))
            return [*links, dict(links[0])] if links else []
        holder = _open(failure, current)
        if holder is None or holder.own:
            return []
        chain = [load for load in failure.open if load.thread == holder.thread]
        names = [load.module for load in chain]
        following: str | None = None
        for load in chain[names.index(current) :]:
            if load.file and load.line:
                frame = Frame(load.file, load.line, load.module, True, load.thread)
                links.append(_link(frame, files))
            following = load.waiting_for or following
        current = following
    return []


def _finish(cause: Cause, failure: Failure, files: Files) -> Cause:
    chain = []
    for frame in failure.frames:
        link = _link(frame, files, with_thread=True)
        if not chain or chain[-1] != link:
            chain.append(link)
    cause["chain"] = chain
    cause["fingerprint"] = fingerprint(cause)
    order = ["kind", "module", "name", "summary", "message", "chain", "cycle", "partial", "bound_at", "root", "waits", "caught_at", "fingerprint", "hint"]
    return {key: cause[key] for key in order if cause.get(key) not in (None, [], {})}


def fingerprint(cause: Cause) -> str:
    """Equal for the same cause in another process: names and kinds only (FNV-1a, 64 bits)."""
    root = cause.get("root") or {}
    parts = [cause["kind"], cause.get("module"), cause.get("name"), root.get("module"), root.get("type")]
    parts += [link["module"] for link in cause.get("cycle") or []]
    value = 0xCBF29CE484222325
    for byte in "\0".join(part or "" for part in parts).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def _who(thread: dict[str, Any] | None) -> str:
    if not thread:
        return "another thread"
    return f"thread {thread.get('name') or thread.get('id')}"


def _reason(earlier: Earlier) -> str:
    root = earlier.root
    message = root.get("message")
    return f"{root['type']}: {message}" if message else str(root["type"])


def _fix_root(earlier: Earlier) -> str:
    root = earlier.root
    where = f"{root['file']}, line {root['line']}" if root.get("file") else root.get("module")
    return f"mend the first failure: {where}"
