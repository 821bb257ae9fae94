"""The parts of a cause: its shell, chain, cycles, fingerprint, and words. Pure and stdlib-free."""

from importtrace.analysis import lookup
from importtrace.analysis.facts import Earlier, Failure, Files, Frame, OpenLoad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Cause = dict[str, Any]


# The keys of a cause, as they are printed and written.
ORDER = (
    "kind",
    "module",
    "name",
    "summary",
    "message",
    "chain",
    "cycle",
    "partial",
    "bound_at",
    "root",
    "waits",
    "caught_at",
    "fingerprint",
    "hint",
)


def new(kind: str, failure: "Failure", module: str | None, name: str | None = None) -> "Cause":
    cause: Cause = {"kind": kind}
    if module:
        cause["module"] = module
    if name:
        cause["name"] = name
    if failure.message is not None:
        cause["message"] = failure.message
    where = failure.frames[-1] if failure.frames else None
    root: dict[str, Any] = {"type": failure.type}
    if failure.thread:
        root = {"thread": failure.thread, **root}
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


def take_root(cause: "Cause", earlier: "Earlier") -> None:
    cause["root"] = dict(earlier.root)
    cycle = cause["root"].pop("cycle", None)
    if cycle:
        cause["cycle"] = cycle


def find_open(failure: "Failure", module: str) -> "OpenLoad | None":
    """The unfinished load of a module; this thread's own first."""
    found = [load for load in failure.open if load.module == module]
    return next((load for load in found if load.own), found[0] if found else None)


def entry(failure: "Failure") -> str:
    outermost = next((load.module for load in failure.open), None)
    return (outermost or failure.load or "the package").partition(".")[0]


def link(frame: "Frame", files: "Files", with_thread: bool = False) -> "dict[str, Any]":
    link: dict[str, Any] = {"module": frame.module, "file": frame.file, "line": frame.line}
    statement = files.statement(frame.file, frame.line)
    if statement:
        link["statement"] = statement
    if with_thread and frame.thread:
        link["thread"] = frame.thread
    return {key: value for key, value in link.items() if value is not None}


def cycle_own(failure: "Failure", files: "Files", module: str) -> "list[dict[str, Any]]":
    """From the half-built module's body down to the failing statement, and back to it."""
    links = _bodies_from(failure, files, module)
    return [*links, dict(links[0])] if links else []


def _bodies_from(failure: "Failure", files: "Files", module: str) -> "list[dict[str, Any]]":
    bodies = [frame for frame in failure.frames if frame.body]
    start = next((n for n, frame in enumerate(bodies) if frame.module == module), None)
    if start is None:
        return []
    # A body's statement may be a class or a call; the import stands in the module's last frame.
    links: list[dict[str, Any]] = []
    since = failure.frames.index(bodies[start])
    for frame in failure.frames[since:]:
        if frame.body:
            links.append(link(frame, files))
            body = frame
        elif frame.module == body.module and frame.file == body.file:
            links[-1] = link(frame, files)
    last = failure.frames[-1]
    asked = lookup.asked_at(files, last, module)
    if asked is not None and links and links[-1]["file"] == last.file:
        links[-1] = link(Frame(last.file, asked, last.module, True, last.thread), files)
    return links


def cycle_across(failure: "Failure", files: "Files", module: str | None) -> "list[dict[str, Any]]":
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
        holder = find_open(failure, current)
        if holder is None or holder.own:
            return []
        chain = [load for load in failure.open if load.thread == holder.thread]
        names = [load.module for load in chain]
        following: str | None = None
        for load in chain[names.index(current) :]:
            if load.file and load.line:
                frame = Frame(load.file, load.line, load.module, True, load.thread)
                links.append(link(frame, files))
            following = load.waiting_for or following
        current = following
    return []


def finish(cause: "Cause", failure: "Failure", files: "Files") -> "Cause":
    chain: list[dict[str, Any]] = []
    for frame in failure.frames:
        step = link(frame, files, with_thread=True)
        if not chain or chain[-1] != step:
            chain.append(step)
    cause["chain"] = chain
    first = failure.first
    if first is not None and first.root.get("type") == cause["root"].get("type"):
        take_root(cause, first)
        cause["summary"] += (
            f"; {who(first.thread)} had failed in the same way before, "
            "and this thread, which waited for it, ran the body again"
        )
    cause["fingerprint"] = fingerprint(cause)
    return {key: cause[key] for key in ORDER if cause.get(key) not in (None, [], {})}


def fingerprint(cause: "Cause") -> str:
    """Equal for the same cause in another process: names and kinds only (FNV-1a, 64 bits)."""
    root = cause.get("root") or {}
    parts = [
        cause["kind"],
        cause.get("module"),
        cause.get("name"),
        root.get("module"),
        root.get("type"),
    ]
    parts += [link["module"] for link in cause.get("cycle") or []]
    value = 0xCBF29CE484222325
    for byte in "\0".join(part or "" for part in parts).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def who(thread: "dict[str, Any] | None") -> str:
    if not thread:
        return "another thread"
    return f"thread {thread.get('name') or thread.get('id')}"


def reason(earlier: "Earlier") -> str:
    """Type and message, without the path that CPython puts behind an ImportError's."""
    root = earlier.root
    message = (root.get("message") or "").partition(" (")[0]
    return f"{root['type']}: {message}" if message else str(root["type"])


def mend(earlier: "Earlier") -> str:
    root = earlier.root
    where = f"{root['file']}, line {root['line']}" if root.get("file") else root.get("module")
    return f"mend the first failure: {where}"
