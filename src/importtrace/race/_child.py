"""In the child: one job, from the set-up steps to the result, which is written with `marshal`.

The result stands in a file that the controlling process has opened: a child may die at any byte, and
the file then lacks its last mark. Nothing here imports what a bare interpreter has not loaded.
"""

import _thread
import marshal
import sys
from time import monotonic

from importtrace import _compat
from importtrace.race import _plans, _points, _stacks, _steps
from importtrace.race._control import Control, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

END = b"\nimporttrace:end\n"
_posix: "Any" = sys.modules["posix"]
_SPEC = _compat.bootstrap_function("ModuleSpec")


def run(job: "dict[str, Any]", file: int, words: int) -> None:
    """Does not return: the process ends here, whatever the target's threads do.

    `words` is a file for what is to be known even if this process never comes to its result.
    """
    begin = monotonic()
    process = _posix.getpid()
    try:
        result = _modules(job) if job["task"] == "list" else _run(job, file, words)
    except BaseException as error:
        kind, message = _stacks.said(error)
        result = {"trouble": f"{kind}: {message}"}
    if _posix.getpid() != process:
        _posix._exit(0)  # a process that the target forked: its result is nobody's
    result["seconds"] = monotonic() - begin
    result["python"] = sys.version.partition(" ")[0]
    _write(file, result)
    _posix._exit(0)


def _write(file: int, result: "dict[str, Any]") -> None:
    data = marshal.dumps(result) + END
    _posix.ftruncate(file, 0)
    _posix.lseek(file, 0, 0)
    while data:
        data = data[_posix.write(file, data) :]


def _mark(file: int, name: str) -> None:
    _posix.lseek(file, 0, 0)
    _posix.write(file, f"at {name}\n".encode("utf-8", "replace"))


def _run(job: "dict[str, Any]", file: int, words: int) -> "dict[str, Any]":
    sys.path[:0] = job["path"]
    if job["bytecode"] and sys.dont_write_bytecode and sys.pycache_prefix is None:
        # The environment wants none kept: each run would compile all that it imports.
        sys.pycache_prefix = job["bytecode"]
        sys.dont_write_bytecode = False
    _steps.take(job["set_up"])
    plan = _plans.make(job["plan"])
    control = Control(plan)
    control.words = words
    entries = job["entries"]
    if job["mark"]:
        control.mark = lambda name: _mark(file, name)
    elif not job["threads"]:
        control.beats = file  # with threads the control itself sees that it gets on
    _points.place(control, threads=job["threads"], lines=tuple(job["lines"]))
    _posix.register_at_fork(after_in_child=lambda: _forked(control))
    session = _capture() if job["explain"] else None
    ends: list[dict[str, Any]] = []
    if job["threads"]:
        _in_threads(control, entries, session, ends, job)
    else:
        control.alone(_name(entries[0]))
        for number, entry in enumerate(entries, start=1):
            if session is not None:
                session._recorder.state().name = "MainThread"
            _import(number, entry, session, ends)
            if ends[-1]["outcome"] != "ok":
                break
    verdict = control.verdict if control.verdict != "free" else None
    control.verdict = verdict or "over"  # whatever still runs is no longer held
    result: dict[str, Any] = {
        "verdict": verdict,
        "ends": list(ends),
        "diverged": plan.diverged,
        "switches": list(control.switches),
        "loaded": list(control.loaded) if job["steps"] else [],
        "steps": list(control.steps) if job["steps"] else [],
        "points": control.count,
        "slow": control.slow,
        "files": _files(control.loaded) if job["steps"] else {},
    }
    if verdict is not None:
        result["stopped"] = _stacks.stopped(control)
    return result


def _files(names: list[str]) -> "dict[str, str]":
    """Where the modules that are not the standard library's came from."""
    found = {}
    for name in names:
        if name.partition(".")[0] not in sys.stdlib_module_names:
            spec: Any = getattr(sys.modules.get(name), "__spec__", None)
            if type(spec) is _SPEC and type(spec.origin) is str and spec.has_location:
                found[name] = spec.origin
    return found


def _capture() -> "Any":
    """importtrace's own, around the points; all of it is loaded already (`_warm`)."""
    import importtrace

    # stall_seconds: its thread would be one that can always go on, and no deadlock would be certain
    return importtrace.install(log="off", spans="off", file="", mode="auto", stall_seconds=0)


def _forked(control: Control) -> None:
    """In a process that the target forked: its other threads are not there."""
    control.verdict = "forked"


def _in_threads(
    control: Control,
    entries: "list[tuple[str, str | None]]",
    session: "Any",
    ends: "list[dict[str, Any]]",
    job: "dict[str, Any]",
) -> None:
    arrived = _thread.allocate_lock()
    arrived.acquire()

    def body(thread: Thread, entry: "tuple[str, str | None]") -> None:
        control.here(thread)
        if session is not None:
            session._recorder.state().name = f"T{thread.index}"
        arrived.release()
        thread.gate.acquire()
        try:
            _import(thread.index, entry, session, ends)
            if session is not None:
                _others(control, thread, ends)
            for number, later in enumerate(further.get(thread.index, ()), start=1):
                _import(thread.index, later, session, ends, number)
        finally:
            control.end(thread)

    further = dict(enumerate(job["further"], start=1))
    threads = [control.add(_name(entry)) for entry in entries]
    for thread, entry in zip(threads, entries, strict=True):
        _thread.start_new_thread(body, (thread, entry))
        arrived.acquire()
    control.start()
    control.watch(job["limit"])


def _others(control: Control, thread: Thread, ends: "list[dict[str, Any]]") -> None:
    """What the other threads are at, where this one has just failed."""
    for end in ends:
        if end["thread"] == thread.index and end["outcome"] != "ok":
            stopped = _stacks.stopped(control)
            end["others"] = [one for one in stopped if one["thread"] != thread.index]


def _name(entry: "tuple[str, str | None]") -> str:
    return entry[0] if entry[1] is None else f"{entry[0]}:{entry[1]}"


def _import(
    number: int,
    entry: "tuple[str, str | None]",
    session: "Any",
    ends: "list[dict[str, Any]]",
    statement_number: int = 0,
) -> None:
    try:
        _steps.import_entry(*entry)
    except BaseException as error:
        kind, message = _stacks.said(error)
        end: dict[str, Any] = {
            "thread": number,
            "statement": statement_number,
            "outcome": _outcome(error),
            "type": kind,
            "message": message,
            "frames": _stacks.traceback(error),
        }
        if session is not None:
            try:
                cause = session.explain(error)
                # A capture that stopped half-way has not seen enough to judge by.
                if cause is not None and session._broken is None:
                    end["cause"] = cause.to_dict()
            except Exception as failed:
                end["unexplained"] = _stacks.said(failed)[0]
        ends.append(end)
    else:
        ends.append({"thread": number, "statement": statement_number, "outcome": "ok"})


def _outcome(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return "import_error"
    if _compat.DeadlockError is not None and isinstance(error, _compat.DeadlockError):
        return "deadlock"
    return "exit" if isinstance(error, SystemExit) else "error"


# what the target holds -------------------------------------------------------------------------


def _modules(job: "dict[str, Any]") -> "dict[str, Any]":
    """The importable modules below a name, found by looking at folders: nothing is imported.

    {"modules": [name...], "files": {name: path}, "origin": file or folder, "missing": name or None}
    """
    sys.path[:0] = job["path"]
    _steps.take(job["set_up"])
    name = job["target"]
    find = _compat.spec_finder()
    path: Any = None
    spec: Any = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = find(".".join(parts[:count]), path)
        if spec is None:
            return {"modules": [], "origin": None, "missing": ".".join(parts[:count])}
        path = spec.submodule_search_locations
        if path is None and count < len(parts):
            return {"modules": [], "origin": None, "missing": name}
    found = {name: spec.origin if spec.has_location else None}
    if path is not None:
        for folder in list(path):
            _walk(folder, name, found, job["most"], spec.loader is None, 0)
    return {
        "modules": list(found),
        "files": {key: value for key, value in found.items() if value},
        "origin": spec.origin or (next(iter(path)) if path else None),
        "missing": None,
        "compiled": _compiled(found),
        "path": [entry for entry in sys.path if type(entry) is str],
    }


def _compiled(found: "dict[str, str | None]") -> bool:
    """Most of the source files have bytecode beside them."""
    where = _compat.EXTERNAL_GLOBALS["cache_from_source"]
    sources = [file for file in found.values() if file and file.endswith(".py")][:200]
    if not sources or sys.implementation.cache_tag is None:
        return True
    there = 0
    for file in sources:
        try:
            _posix.stat(where(file))
            there += 1
        except OSError:
            pass
    return 2 * there >= len(sources)


def _walk(
    folder: str, name: str, found: "dict[str, str | None]", most: int, loose: bool, depth: int
) -> None:
    suffixes = [".py", ".pyc", *_compat.EXTERNAL_GLOBALS["_imp"].extension_suffixes()]
    try:
        entries = sorted(_posix.scandir(folder), key=_entry_name)
    except OSError:
        return
    for entry in entries:
        if len(found) >= most or depth > 40:
            return
        file = entry.name
        if entry.is_dir():
            inside = f"{folder}/{file}"
            if file.isidentifier() and file != "__pycache__" and (loose or _package(inside)):
                before = len(found)
                found.setdefault(f"{name}.{file}", f"{inside}/__init__.py")
                _walk(inside, f"{name}.{file}", found, most, loose, depth + 1)
                if loose and not _package(inside) and len(found) == before + 1:
                    found.popitem()  # a folder without modules
            continue
        for suffix in suffixes:
            if file.endswith(suffix):
                stem = file[: -len(suffix)]
                if stem.isidentifier() and stem not in ("__init__", "__main__"):
                    found.setdefault(f"{name}.{stem}", f"{folder}/{file}")
                break


def _entry_name(entry: "Any") -> str:
    name: str = entry.name
    return name


def _package(folder: str) -> bool:
    try:
        return any(
            name.partition(".")[0] == "__init__" and "." in name for name in _posix.listdir(folder)
        )
    except OSError:
        return False
