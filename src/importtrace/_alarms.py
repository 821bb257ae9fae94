"""Tells of hanging imports and of forks: builds what is said, and says it at once.

As `_stalls`, it imports nothing: the application's structlog is used where it is loaded and
configured, and what else goes to stderr needs neither `json` nor `logging`.
"""

import sys
from time import gmtime, strftime, time_ns
from time import perf_counter_ns as clock

from importtrace._recorder import Load, Request
from importtrace._spool_text import without_home
from importtrace._stalls import Picture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace._recorder import Recorder
    from importtrace._stalls import Thread
    from importtrace._watchdog import Stall

STALLED = "import.stalled"
STALL_ENDED = "import.stall_ended"
FORK_HELD = "import.fork_held"
HANDED_OUT = "import.orphan_handed_out"


class Alarms:
    """`orphan_of(module)` is the cause of an import that can never finish here, or None; `write` puts
    the trace file down while it hangs."""

    def __init__(
        self,
        recorder: "Recorder",
        log: bool,
        redact: "frozenset[str]",
        orphan_of: "Callable[[str, Picture, Thread], dict[str, Any] | None]",
    ) -> None:
        self._recorder = recorder
        self._log = log
        self._redact = redact
        self._orphan_of = orphan_of
        self._open: dict[int, set[int]] = {}  # id of a reported stall -> the threads it told of

    # hanging imports -----------------------------------------------------------------------

    def report(self, new: "list[Stall]", ended: "list[Stall]") -> None:
        for stall in ended:
            if self._open.pop(id(stall), None) is not None:
                self._ended(stall)
        if not new:
            return
        picture = Picture(self._recorder, "statements" not in self._redact)
        for group, threads in self._groups(new, picture):
            known = [told for told in self._open.values() if told & threads]
            if known:
                known[0].update(threads)  # part of what was told already
                continue
            first = min(group, key=lambda stall: _order(stall, picture))
            first.data = self._describe(first, group, threads, picture)
            self._open[id(first)] = threads
            self._say("error" if "cause" in first.data else "warning", STALLED, _fields(first.data))

    def _groups(
        self, new: "list[Stall]", picture: "Picture"
    ) -> "list[tuple[list[Stall], set[int]]]":
        """Those that wait for each other, or for the same thread, are one story."""
        groups: list[tuple[list[Stall], set[int]]] = []
        for stall in new:
            threads = set()
            if stall.state is not None:
                threads = {thread.ident for thread in picture.follow(stall.state.ident)[0]}
                threads.add(stall.state.ident)
            stalls = [stall]
            for other in [group for group in groups if group[1] & threads]:
                stalls = other[0] + stalls
                threads |= other[1]
                groups.remove(other)
            groups.append((stalls, threads))
        return groups

    def _describe(
        self, stall: "Stall", group: "list[Stall]", threads: "set[int]", picture: "Picture"
    ) -> "dict[str, Any]":
        recorder = self._recorder
        now = clock()
        seconds = (now - stall.since) / 1e9
        data: dict[str, Any] = {}
        cause = None
        if stall.state is None or stall.subject is None:
            data["kind"] = "import_lock"
            holder = next((one for one in picture.threads.values() if one.finder), None)
            said = picture.sentence(holder) if holder is not None else "by whom cannot be seen"
            data["summary"] = f"the global import lock has been held for {seconds:.1f} s: {said}"
            data["hint"] = _hint([holder] if holder is not None else [], False)
            first = [holder.ident] if holder is not None else []
        else:
            name = stall.subject.name
            data["kind"] = "load" if isinstance(stall.subject, Load) else "wait"
            data["module"] = name
            thread = picture.thread(stall.state.ident, stall.state.name)
            data["thread"] = thread.ref()
            data["start_ns"] = max(0, stall.subject.begin - recorder.started_at)
            path, ring = picture.follow(thread.ident)
            cause = self._orphan_of(name, picture, thread)
            if cause is not None:
                data["summary"], data["hint"] = cause["summary"], cause["hint"]
            else:
                data["summary"] = _summary(name, seconds, path, ring, threads, picture)
                data["hint"] = _hint(path, ring)
            first = [thread.ident, *(one.state.ident for one in group if one.state is not None)]
        data["since_ns"] = max(0, stall.since - recorder.started_at)
        data["reported_ns"] = now - recorder.started_at
        data["threads"] = picture.shown(first)
        if cause is not None:
            data["cause"] = cause
        return data

    def _ended(self, stall: "Stall") -> None:
        subject = stall.subject
        end, outcome = clock(), "going_on"
        if subject is not None and subject.end:
            end = subject.end
            failed = (
                subject.error is not None
                if isinstance(subject, Load)
                else subject.deadlock == "raised"
            )
            outcome = "failed" if failed else "ok"
        elif isinstance(subject, Request):
            outcome = "ok"
        stall.data["ended_ns"] = end - self._recorder.started_at
        stall.data["outcome"] = outcome
        fields = _fields(stall.data)
        for key in ("threads", "hint", "cause", "cause_kind", "summary", "statement"):
            fields.pop(key, None)
        fields["stalled_ms"] = round((end - stall.since) / 1e6, 3)
        fields["import_outcome"] = outcome
        self._say("info", STALL_ENDED, fields)

    # saying --------------------------------------------------------------------------------

    def _say(self, level: str, event: str, fields: "dict[str, Any]") -> None:
        if self._log:
            say(self._recorder, level, event, fields, self._redact)

    def fork(self, summary: str, held: "list[dict[str, Any]]") -> None:
        hint = "import these before forking, or start processes by spawn or forkserver"
        self._say("warning", FORK_HELD, {"summary": summary, "held": held, "hint": hint})

    def handed_out(self, module: str, thread: "dict[str, Any]", summary: str) -> None:
        fields = {"module_name": module, **_thread(thread), "summary": summary}
        self._say("error", HANDED_OUT, {**fields, "cause_kind": "orphaned_lock"})


def _order(stall: "Stall", picture: "Picture") -> "tuple[bool, int]":
    """The one that the others wait for, then the longest."""
    if stall.state is None:
        return True, stall.since
    thread = picture.threads.get(stall.state.ident)
    return thread is not None and thread.wait is not None, stall.since


def _summary(
    module: str,
    seconds: float,
    path: "list[Thread]",
    ring: bool,
    threads: "set[int]",
    picture: "Picture",
) -> str:
    text = f"the import of {module} has made no progress for {seconds:.1f} s: "
    if ring:
        text += f"{len(path)} threads wait for one another: "
    text += "; ".join(picture.sentence(thread) for thread in path[:8])
    behind = [
        thread
        for thread in picture.threads.values()
        if thread not in path and thread.wait is not None and path
        and path[-1] in picture.follow(thread.ident)[0]
    ]  # fmt: skip
    if behind:
        text += "; because of it, " + "; ".join(picture.sentence(one) for one in behind[:3])
        if len(behind) > 3:
            text += f"; and {len(behind) - 3} more threads"
    return text


def _hint(path: "list[Thread]", ring: bool) -> str:
    kinds = [thread.wait.kind for thread in path if thread.wait is not None]
    last = path[-1] if path else None
    finder = next((thread.finder[0] for thread in path if thread.finder is not None), None)
    if finder is not None:
        return f"while finder {finder} looks for a module nobody else can import; it must not wait"
    if ring and "thread" in kinds:
        return "do not wait for a thread in a module's body: the thread may import that module"
    if ring:
        return "import the package once, in one thread, before the threads start"
    if last is not None and last.alive is False:
        return "nobody is left to give that lock back: the process has to be started again"
    if "lazy" in kinds:
        return "load the lazy module once, in one thread, before the threads start"
    return (
        "it goes on when that line does: give it a time limit, or move it out of the module's body"
    )


def _fields(data: "dict[str, Any]") -> "dict[str, Any]":
    """A stall as a log event's fields (docs/logs.md)."""
    fields: dict[str, Any] = {}
    if "module" in data:
        fields["module_name"] = data["module"]
    fields.update(_thread(data.get("thread")))
    at: dict[str, Any] = next((one["at"] for one in data["threads"][:1] if "at" in one), {})
    fields.update({key: at[key] for key in ("file", "line", "statement") if key in at})
    fields["stalled_ms"] = round((data["reported_ns"] - data["since_ns"]) / 1e6, 3)
    fields["summary"] = data["summary"]
    fields["hint"] = data["hint"]
    if "cause" in data:
        fields["cause_kind"] = data["cause"]["kind"]
        fields["cause"] = data["cause"]
    fields["threads"] = data["threads"]
    return fields


def _thread(thread: "dict[str, Any] | None") -> "dict[str, Any]":
    if thread is None:
        return {}
    named = {"thread_name": thread["name"]} if thread.get("name") else {}
    return {"thread_id": thread["id"], **named}


def say(
    recorder: "Recorder",
    level: str,
    event: str,
    fields: "dict[str, Any]",
    redact: "frozenset[str]" = frozenset(),
) -> None:
    """To the application's structlog, else one line on stderr (on a terminal, text)."""
    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    if "home" in redact:
        fields = _map_strings(fields, without_home)
    fields = {"pid": system.getpid(), **fields}
    state = recorder.state()
    state.muted += 1
    try:
        structlog: Any = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            getattr(structlog.get_logger("importtrace").bind(), level)(event, **fields)
            return
    except Exception:
        pass  # half-imported, or the application's processors refuse it
    finally:
        state.muted -= 1
    try:
        stream = sys.stderr or sys.__stderr__
        if stream is None:
            return
        now = time_ns()
        stamp = strftime("%Y-%m-%dT%H:%M:%S", gmtime(now // 10**9))
        line = {
            "timestamp": f"{stamp}.{now // 10**6 % 1000:03}+00:00",
            "level": level,
            "logger": "importtrace",
            "event": event,
            **fields,
        }
        # one write, so that lines of other threads stay whole
        stream.write((as_text(event, fields) if stream.isatty() else to_json(line)) + "\n")
        stream.flush()
    except Exception:
        pass


def as_text(event: str, fields: "dict[str, Any]") -> str:
    """For people at a terminal: the summary, then each thread with its imports."""
    lines = [f"importtrace: [{event}] pid {fields['pid']}"]
    if "summary" in fields:
        lines.append(f"  {fields['summary']}")
    elif event == STALL_ENDED:
        lines.append(
            f"  {fields.get('module_name', 'the import lock')}: {fields['import_outcome']} "
            f"after {fields['stalled_ms'] / 1000:.1f} s"
        )
    for thread in fields.get("threads", ()):
        ref = thread["thread"]
        dead = " (it has ended)" if thread.get("alive") is False else ""
        lines.append(f"  thread {ref['name'] or ref['id']}{dead}:")
        links = thread.get("chain", [])
        at = thread.get("at")
        if at is not None and (not links or _place(links[-1]) != _place(at)):
            links = [*links, at]
        for link in links:
            where = f"in {link['function']}, " if "function" in link else ""
            statement = f": {link['statement']}" if "statement" in link else ""
            lines.append(f"    {link.get('module', '?')} ({where}{_place(link)}){statement}")
    if fields.get("hint"):
        lines.append(f"  what next: {fields['hint']}")
    return "\n".join(lines)


def _place(link: "dict[str, Any]") -> str:
    return f"{link['file']}, line {link['line']}" if "line" in link else str(link["file"])


def _map_strings(value: "Any", change: "Callable[[str], str]") -> "Any":
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_json(value: "Any") -> str:
    """`json.dumps` of what a report consists of; `json` may not be loaded, and cannot be loaded now."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if value - value == 0 else "null"
    if isinstance(value, dict):
        items = (f"{to_json(str(key))}: {to_json(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return '"' + "".join(map(_escaped, str(value))) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 32 <= code < 127:
        return character
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
