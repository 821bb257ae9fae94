"""From what was observed of a failure to its cause, in the shape of the contract (docs/causes.md).

    explain(failure, files) -> {"kind", "module", "name", "summary", …}

Pure and stdlib-free: it runs inside a failing import. The order of the judges is the order of
evidence: a fact that was observed (a lock, a failure in another thread) comes before what the source
says, and what the source says before a guess, of which there are none: a judge that cannot prove its
kind returns None, and the last one says only that the body raised.
"""

from importtrace.analysis import guards, lookup
from importtrace.analysis.kinds import (
    absent,
    class_twin,
    failed_there,
    half_built,
    in_a_running_loop,
    loaded_again,
    orphaned,
    partial_of,
    shadowed,
    swallowed_earlier,
)
from importtrace.analysis.links import find_open, finish, mend, new, reason, take_root, who
from importtrace.analysis.statements import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importtrace.analysis.facts import Earlier, Failure, Files, Frame
    from importtrace.analysis.links import Cause


def explain(failure: "Failure", files: "Files") -> "Cause | None":
    """The cause of one failure; None if no import has anything to do with it."""
    for judge in (
        _orphaned,
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
            return finish(cause, failure, files)
    return None


def _orphaned(failure: "Failure", files: "Files") -> "Cause | None":
    """After a fork: the module was being built by a thread that is not in this process."""
    orphans = failure.orphans
    if failure.deadlock:  # with the dead thread's wait, which the detector still sees
        module = failure.refused
        return orphaned(failure, files, module) if module in orphans and module else None
    asked = orphans.get(failure.name or "")
    if failure.import_error and asked is not None and failure.message == asked["message"]:
        return orphaned(failure, files, asked["module"])
    if failure.missing is None or failure.missing[0] not in orphans:
        return None
    module, name = failure.missing
    if find_open(failure, module) is not None:
        return None  # somebody here is building it
    found, line = lookup.would_bind(failure, files, module, name, orphans[module].get("line"))
    if found in ("never", "passed"):
        return None
    if found == "unknown" and lookup.submodule(failure, files, module, name):
        return None
    return orphaned(failure, files, module, name, line)


def _deadlock(failure: "Failure", files: "Files") -> "Cause | None":
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
    cause = new("lock_order", failure, module)
    parts = [
        f"{who(wait['thread'])} waited for {wait['for']} (held by {who(wait['held_by'])})"
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
    cause["waits"] = list(failure.waits)
    return cause


def _parent_gone(failure: "Failure", files: "Files") -> "Cause | None":
    """KeyError out of importlib: the parent package was there, and its load failed meanwhile."""
    if failure.type != "KeyError" or failure.parent_failed is None:
        return None
    earlier = failure.parent_failed
    cause = new("failed_in_other_thread", failure, earlier.module)
    take_root(cause, earlier)
    cause["partial"] = {
        "module": earlier.module,
        "state": "failed",
        "held_by": {"thread": earlier.thread, "module": earlier.module},
    }
    cause["waits"] = list(failure.waits)
    cause["summary"] = (
        f"while this thread imported {failure.load or 'a submodule'}, {who(earlier.thread)} was "
        f"still importing its package {earlier.module}; that failed, and importlib took the package "
        f"away: the KeyError only says so"
    )
    cause["hint"] = mend(earlier)
    return cause


def _stopped(failure: "Failure", files: "Files") -> "Cause | None":
    """`None` in sys.modules, or a finder that refuses."""
    if failure.search_stopped is None or not failure.import_error:
        return None
    cause = new("blocked", failure, failure.name or failure.load)
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


def _in_front(failure: "Failure", files: "Files") -> "Cause | None":
    """Somebody imported his neighbour and got a file of the user's, and that went wrong."""
    if failure.not_found and failure.missing is None:
        return None
    found = lookup.sibling(failure, files)
    if found is None or failure.load is None:
        return None
    asked, meant = found
    assert asked.module is not None
    cause = new("shadowed", failure, asked.module)
    cause["summary"] = (
        f"{asked.file} stands in front of {meant}, which was meant; "
        f"the message blames {failure.missing[0] if failure.missing else failure.load}"
    )
    cause["hint"] = f"rename {asked.file}"
    return cause


def _missing(failure: "Failure", files: "Files") -> "Cause | None":
    """A module was handed out, and a name was not in it."""
    if failure.missing is None:
        return None
    module, name = failure.missing
    handed = failure.handout if failure.handout and failure.handout.module == module else None
    opened = find_open(failure, module)
    child = f"{module}.{name}"
    if failure.handout is not None and failure.handout.module == child:
        if failure.handout.failed is not None:  # `import a.b as b`, and a.b failed elsewhere
            waited = failure.handout.waited_ms
            return failed_there(failure, files, child, name, failure.handout.failed, waited)
    if handed is not None and handed.failed is not None and not handed.own:
        return failed_there(failure, files, module, name, handed.failed, handed.waited_ms)
    if (
        opened is None
        and handed is not None
        and handed.deadlock
        and lookup.can_bind(files.source(failure.files.get(module)), name)
    ):
        cause = half_built("thread_race", failure, files, module, name, None, None)
        cause["partial"] = {"module": module, "held_by": {"thread": handed.builder}}
        return cause
    if opened is None:
        return absent(failure, files, module, name)
    found, line = lookup.would_bind(failure, files, module, name, opened.line)
    if found in ("never", "passed"):
        return absent(failure, files, module, name)
    if found == "unknown" and lookup.submodule(failure, files, module, name):
        return absent(failure, files, module, name)
    if opened.own:
        again = loaded_again(failure, files)
        if again is not None:
            return again
    kind = "circular" if opened.own else "thread_race"
    return half_built(kind, failure, files, module, name, opened, line)


def _name(failure: "Failure", files: "Files") -> "Cause | None":
    """NameError: a star import of a half-built module, or a guarded import that failed."""
    if failure.type not in ("NameError", "UnboundLocalError") or failure.name is None:
        return None
    where = failure.frames[-1] if failure.frames else None
    if where is None:
        return None
    for star in failure.handouts:
        opened = find_open(failure, star.module)
        source = files.source(star.file)
        if opened is None or source is None or source.import_names(star.line) != ("*",):
            continue
        found, line = lookup.would_bind(failure, files, star.module, failure.name, opened.line)
        if found == "later" and line:
            kind = "circular" if opened.own else "thread_race"
            return half_built(kind, failure, files, star.module, failure.name, opened, line)
    source = files.source(where.file)
    stars = lookup.offering(failure, files, source, where.file, failure.name)
    swallowed = guards.swallowed(source, where.file, failure.name, failure.earlier, stars)
    return swallowed_earlier(failure, where.module, swallowed) if swallowed is not None else None


def _machinery(failure: "Failure", files: "Files") -> "Cause | None":
    """importlib itself said no."""
    if not failure.import_error or failure.raised_in is None:
        return None
    name = failure.name or failure.load
    if failure.stage == "create":
        if (failure.message or "").endswith("does not support loading in subinterpreters"):
            return None  # it is whole; its message says all there is
        library = lookup.library(failure.message)
        cause = new("native_library", failure, failure.load, library)
        what = f"the library {library} is missing" if library else "it could not be loaded"
        symbol = (failure.message or "").partition("undefined symbol: ")[2]
        if symbol:
            what += f": no library has the symbol {symbol}"
        elif not library and failure.message:
            what += f": {failure.message}"
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
            return shadowed(failure, parent, other, f"has no submodule {name!r}: it is no package")
    elif parent and parent in failure.packages:
        other = lookup.other_package(failure, files, parent, name.rpartition(".")[2])
        if other is not None:
            return shadowed(failure, parent, other, f"has no submodule {name!r}")
    cause = new("not_found", failure, name)
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


def _raised(failure: "Failure", files: "Files") -> "Cause | None":
    """The body, or something that it called, raised."""
    context = failure.context
    if context is not None and _by_hand(failure, files, context):
        earlier = context
        cause = new("dependency_failed", failure, failure.load or earlier.module)
        take_root(cause, earlier)
        cause["summary"] = (
            f"{failure.type} was raised because the import of {earlier.module} failed "
            f"({reason(earlier)})"
        )
        cause["hint"] = mend(earlier)
        return cause
    where = failure.frames[-1] if failure.frames else None
    wrapped = _wrapped(failure, files)
    if wrapped is not None:
        return wrapped
    if where is not None:
        guard = guards.guard(files, where, failure.earlier)
        if guard is None and failure.of_none:
            guard = guards.none_guard(files, where, failure.of_none, failure.earlier)
        if guard is not None:
            return swallowed_earlier(failure, failure.load or where.module, guard)
        twin = class_twin(failure, files)
        if twin is not None:
            return twin
    if failure.removed is not None:
        cause = new("body_raised", failure, failure.load)
        cause["summary"] = (
            f"importlib raised KeyError, because {failure.removed!r} was no longer in sys.modules "
            f"while {failure.load} was being imported"
        )
        cause["hint"] = f"look for what takes {failure.removed!r} out of sys.modules"
        return cause
    if failure.load is None or failure.stage in ("find", "create"):
        return None  # a finder's error, a signal handler's: no body ran
    cause = new("body_raised", failure, failure.load)
    if failure.stage == "compile":
        cause["summary"] = f"{failure.load} does not compile: {failure.type}"
        return cause
    if failure.raised_in is not None:
        return None  # importlib's own, and not understood
    cause["summary"] = f"the body of {failure.load} raised {failure.type}"
    if where is not None and where.module and where.module != failure.load:
        cause["summary"] += f" (in {where.module})"
    if context is not None:
        cause["summary"] += (
            f", while the failed import of {context.module} was being handled ({reason(context)})"
        )
    if where is not None:
        _half_built_names(cause, failure, files, where)
    if in_a_running_loop(failure):
        cause["hint"] = (
            f"{failure.load} starts an event loop where one already runs: do that in a function that is "
            "called, not while the module is imported"
        )
    return cause


def _wrapped(failure: "Failure", files: "Files") -> "Cause | None":
    """Raised from an exception that an import explains, and that left no load."""
    behind = failure.behind
    if behind is None or not behind.frames or not failure.frames:
        return None
    where = failure.frames[-1]
    source = files.source(where.file)
    if not failure.context_explicit and not (
        source is not None
        and type(source.node(where.line)).__name__ == "Raise"
        and where.file == behind.frames[-1].file
    ):
        return None
    inner = explain(behind, files)
    if inner is None or inner["kind"] in ("body_raised", "dependency_failed"):
        return None
    cause = new(
        "dependency_failed", failure, failure.load or inner.get("module"), inner.get("name")
    )
    for key in ("root", "cycle", "partial", "bound_at", "waits", "caught_at", "hint"):
        if inner.get(key):
            cause[key] = inner[key]
    cause["summary"] = f"{failure.type} was raised because of another failure: {inner['summary']}"
    return cause


def _by_hand(failure: "Failure", files: "Files", context: "Earlier") -> bool:
    """Whether somebody raised this because of that failure, and it is not a mishap of its handler.

    A `raise` in the handler, or in what that called; not in another module that was tried instead.
    """
    if failure.context_explicit:
        return True
    where = failure.frames[-1] if failure.frames else None
    source = files.source(where.file) if where is not None else None
    if where is None or source is None:
        return True
    bodies = [frame.module for frame in failure.frames if frame.body]
    return type(source.node(where.line)).__name__ == "Raise" and (
        context.importer in bodies[-1:] or not bodies or where.file == context.file
    )


def _half_built_names(cause: "Cause", failure: "Failure", files: "Files", where: "Frame") -> None:
    """A fact worth seeing beside another error: the statement uses names of a half-built module."""
    source = files.source(where.file)
    node = source.node(where.line) if source is not None else None
    used = {part.id for part in walk(node) if type(part).__name__ == "Name"} if node else set()
    for handed in failure.handouts:
        opened = find_open(failure, handed.module)
        names = source.import_names(handed.line) if source is not None else None
        taken = [
            name
            for name in sorted(used & set(names or ()))
            if source is not None
            and [one.line for one in source.bindings(name) if one.line < where.line]
            == [handed.line]
        ]
        if opened is None or not taken or handed.file != where.file:
            continue
        cause["partial"] = partial_of(failure, opened)
        cause["summary"] += f"; {', '.join(taken)} came from {handed.module}, whose own body " + (
            f"stands at line {opened.line}" if opened.line else "is not over"
        )
        return
