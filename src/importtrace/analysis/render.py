"""A cause as text: what a traceback, a log line or a terminal shows. Pure and stdlib-free."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TITLES = {
    "circular": "circular import",
    "thread_race": "import race between threads",
    "failed_in_other_thread": "the import failed in another thread",
    "lock_order": "import locks taken in opposite order",
    "dependency_failed": "an import failed before",
    "not_found": "module not found",
    "shadowed": "a file stands in front of the module that was meant",
    "missing_name": "no such name",
    "native_library": "an extension module could not be loaded",
    "swallowed_earlier": "an earlier import failed and was caught",
    "orphaned_lock": "the import lock's holder does not exist",
    "blocked": "the import is blocked",
    "duplicate_module": "one file was loaded under two names",
    "body_raised": "the module's body raised",
}
_MOST_LINKS = 24


def text(cause: "dict[str, Any]") -> str:
    """Several lines, no trailing newline; the first names the kind."""
    title = _TITLES.get(cause["kind"], cause["kind"])
    if cause["kind"] == "body_raised" and not cause.get("summary", "the body").startswith(
        "the body"
    ):
        title = (
            "an exception while a module was imported"  # it did not compile, or importlib raised
        )
    lines = [f"importtrace: {title} [{cause['kind']}]"]
    if cause.get("summary"):
        lines.append(f"  {cause['summary']}")
    cycle = cause.get("cycle") or []
    if cycle:
        lines.append("  the cycle:")
        lines += [f"    {_link(link)}" for link in cycle[:-1]]
        lines.append(f"    back to {cycle[-1]['module']}")
    chain = cause.get("chain") or []
    if len(chain) > 1 or (chain and not cycle):
        lines.append("  imported by:")
        shown = chain if len(chain) <= _MOST_LINKS else chain[: _MOST_LINKS // 2]
        lines += [f"    {_link(link)}" for link in shown]
        if len(chain) > _MOST_LINKS:
            lines.append(f"    … {len(chain) - _MOST_LINKS} more …")
            lines += [f"    {_link(link)}" for link in chain[-_MOST_LINKS // 2 :]]
    partial = cause.get("partial")
    if partial:
        lines.append(f"  half-built: {_partial(partial)}")
    bound_at = cause.get("bound_at")
    if bound_at:
        name = repr(cause.get("name", "the name"))
        says = (
            f"the statement for {name}:" if cause["kind"] in _NOT_BOUND else f"{name} is bound at"
        )
        lines.append(f"  {says} {_place(bound_at)}")
    for wait in cause.get("waits") or []:
        ms = wait.get("ms")
        took = f", {ms:.1f} ms" if isinstance(ms, int | float) else ""
        lines.append(
            f"  waited: {_who(wait['thread'])} for {wait['for']}, "
            f"held by {_who(wait['held_by'])}{took}"
        )
    root = cause.get("root")
    if root and cause["kind"] in _ELSEWHERE:
        message = f": {root['message']}" if root.get("message") else ""
        lines.append(f"  first failure: {root['type']}{message}")
        where = f" in {root['module']}" if root.get("module") else ""
        place = f", {_place(root)}" if root.get("file") else ""
        thread = root.get("thread")
        lines.append(f"    raised{where}{place}" + (f", {_who(thread)}" if thread else ""))
    caught_at = cause.get("caught_at")
    if caught_at:
        lines.append(f"  caught at {_place(caught_at)}")
    if cause.get("hint"):
        lines.append(f"  what next: {cause['hint']}")
    return "\n".join(lines)


_NOT_BOUND = ("missing_name", "swallowed_earlier", "failed_in_other_thread")
_ELSEWHERE = ("failed_in_other_thread", "dependency_failed", "swallowed_earlier")


def _link(link: "dict[str, Any]") -> str:
    place = _place(link) if link.get("file") else ""
    statement = f": {link['statement']}" if link.get("statement") else ""
    return f"{link.get('module') or '?'} ({place}){statement}"


def _place(at: "dict[str, Any]") -> str:
    return f"{at['file']}, line {at['line']}" if at.get("line") else str(at.get("file"))


def _who(thread: "dict[str, Any] | None") -> str:
    if not thread:
        return "another thread"
    return str(thread.get("name") or f"thread {thread.get('id')}")


def _partial(partial: "dict[str, Any]") -> str:
    state = {
        "body_running": "its body is still running",
        "unbound": "its body is over, it is not yet bound on its package",
        "failed": "its import failed, the object is what was left",
    }.get(partial.get("state", ""), "")
    held = partial.get("held_by") or {}
    parts = [partial["module"]]
    if state:
        parts.append(state)
    if held.get("thread"):
        place = f" at {_place(held)}" if held.get("line") else ""
        parts.append(f"built by {_who(held['thread'])}{place}")
    names = partial.get("bound_names")
    if names is not None:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        parts.append(f"bound by then: {shown or 'nothing'}")
    return "; ".join(parts)
