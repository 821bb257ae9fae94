"""What every importing thread is doing at this moment: who waits for whom, and who stands where.

Runs on the watchdog's thread while the import system may be stuck, so it imports only what is loaded
already, takes no lock and runs no code of the program's: frames and namespaces are read as they lie.
"""

import _imp
import sys
from time import perf_counter_ns as clock

from importtrace import _compat
from importtrace._frames import internal, ours
from importtrace._recorder import Recorder, thread_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_LAZY = "_LazyModule.__getattribute__"
_JOINS = ("Thread.join", "Thread._wait_for_tstate_lock")
_MOST_FRAMES = 400
_MOST_LINKS = 40
_MOST_THREADS = 50
_MOST_SOURCE = 4_000_000

_namespace: "Any" = vars(type(sys))["__dict__"]


class Wait:
    """What a thread waits for: `kind` is "module", "import", "lazy" or "thread"; `on` is an ident."""

    __slots__ = ("kind", "module", "ns", "on")

    def __init__(self, kind: str, module: str | None, on: int | None, ns: int | None) -> None:
        self.kind = kind
        self.module = module
        self.on = on
        self.ns = ns


class Thread:
    """One thread as it stands; `frames` are outermost first, empty for a greenlet that is not running."""

    __slots__ = ("alive", "finder", "frames", "ident", "importing", "name", "wait")

    def __init__(self, ident: int, name: str | None, frames: "list[FrameType]") -> None:
        self.ident = ident
        self.name = name
        self.frames = frames
        self.alive: bool | None = True
        self.importing = any(internal(frame) for frame in frames)
        self.wait: Wait | None = None
        self.finder: tuple[str, str] | None = None  # (finder, module it looks for)

    def ref(self) -> "dict[str, Any]":
        return {"id": self.ident, "name": self.name}

    @property
    def who(self) -> str:
        return f"thread {self.name or self.ident}"


class Picture:
    """All threads that have to do with imports now; `shown` with source text, unless it is private."""

    def __init__(self, recorder: "Recorder", statements: bool = True) -> None:
        self._sources: dict[str, list[str]] = {}
        self._statements = statements
        self.threads: dict[int, Thread] = {}
        self._greenlets = "greenlet" in sys.modules
        here = sys._getframe()
        for ident, top in _compat.stacks().items():
            if top is not here:
                self.threads[ident] = Thread(ident, thread_name(ident), _frames(top))
        for state in list(recorder.threads.values()):
            if (state.stack or state.waiting is not None) and not state.muted:
                known = self.thread(state.ident, state.name)
                known.importing = True
                known.name = known.name or state.name
                if not known.frames and state.stack:
                    self._running_greenlet(known, state.stack[-1].name)
        self._module_locks(recorder)
        self._import_lock()
        self._lazy_and_joins()

    def thread(self, ident: int, name: str | None = None) -> "Thread":
        """Known or not: one that holds a lock and is not there has ended, or is a greenlet."""
        found = self.threads.get(ident)
        if found is None:
            found = self.threads[ident] = Thread(ident, name or thread_name(ident), [])
            found.alive = None if self._greenlets else False
        return found

    def _running_greenlet(self, greenlet: "Thread", module: str) -> None:
        """The stack of the thread that it runs on, if that thread is in the body of its load."""
        for thread in list(self.threads.values()):
            if any(
                frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == module
                for frame in thread.frames
            ):
                greenlet.frames, greenlet.alive = thread.frames, True
                greenlet.name = greenlet.name or thread.name
                del self.threads[thread.ident]
                return

    def _module_locks(self, recorder: "Recorder") -> None:
        now = clock()
        states = recorder.threads
        holders = {load.name: load.thread for load in list(recorder.open.values())}
        for ident, name, owner in _compat.blocked_threads():
            if ident not in self.threads or owner == ident:
                continue
            state = states.get(ident)
            waiting = state.waiting if state is not None else None
            since = now - waiting.begin if waiting is not None and waiting.name == name else None
            holder = holders.get(name)
            if owner is not None:
                self.thread(owner, holder.name if holder and holder.ident == owner else None)
            self.threads[ident].wait = Wait("module", name, owner, since)
            self.threads[ident].importing = True

    def _import_lock(self) -> None:
        holder: int | None = None
        for thread in self.threads.values():
            for frame, inner in zip(thread.frames, thread.frames[1:], strict=False):
                if (
                    frame.f_code is not _compat.FIND_SPEC
                    or _qualname(inner) == _compat.TAKERS_OF_THE_IMPORT_LOCK[1]
                ):
                    continue
                finder = frame.f_locals.get("finder")
                name = frame.f_locals.get("name")
                if finder is not None and type(name) is str:
                    thread.finder = _name_of(finder), name
                    holder = thread.ident
                    break
        if not _imp.lock_held():
            return
        for thread in self.threads.values():
            top = thread.frames[-1] if thread.frames else None
            if (
                top is not None
                and top.f_globals is _compat.BOOTSTRAP_GLOBALS
                and _qualname(top) in _compat.TAKERS_OF_THE_IMPORT_LOCK
                and thread.ident != holder
            ):
                thread.wait = Wait("import", None, holder, None)

    def _lazy_and_joins(self) -> None:
        loading: dict[int, int] = {}
        for thread in self.threads.values():
            for frame in thread.frames[:-1]:
                if _is_lazy(frame):
                    loading[id(frame.f_locals.get("self"))] = thread.ident
        for thread in list(self.threads.values()):
            if thread.wait is not None or not thread.frames:
                continue
            top = thread.frames[-1]
            if _is_lazy(top):
                module = top.f_locals.get("self")
                holder = loading.get(id(module))
                if holder is not None and holder != thread.ident:
                    thread.wait = Wait("lazy", _lazy_name(module), holder, None)
            for frame in thread.frames[-2:]:
                if frame.f_globals.get("__name__") == "threading" and _qualname(frame) in _JOINS:
                    joined = frame.f_locals.get("self")
                    ident = _plain(joined).get("_ident")
                    if type(ident) is int and ident in self.threads and ident != thread.ident:
                        thread.wait = Wait("thread", None, ident, None)
                        break

    # along the waits -----------------------------------------------------------------------

    def follow(self, ident: int) -> "tuple[list[Thread], bool]":
        """The threads from this one along its wait, and whether they wait in a ring."""
        path: list[Thread] = []
        current: int | None = ident
        while current is not None:
            thread = self.threads.get(current)
            if thread is None:
                break
            if thread in path:
                return path[path.index(thread) :], True
            path.append(thread)
            current = thread.wait.on if thread.wait is not None else None
        return path, False

    def sentence(self, thread: "Thread") -> str:
        """What one thread does, with whom it waits for."""
        wait = thread.wait
        if wait is None:
            at = self.at(thread)
            if at is None:
                if thread.alive is None:
                    return f"where {thread.who} stands cannot be seen (a greenlet)"
                return f"{thread.who} {'is running' if thread.alive else 'has ended'}"
            text = f"{thread.who} stands at {at['file']}, line {at['line']}"
            if at.get("statement"):
                text += f": {at['statement']}"
            if thread.finder is not None:
                text += (
                    f" (in finder {thread.finder[0]}, which looks for {thread.finder[1]} "
                    "and holds the import lock meanwhile)"
                )
            return text
        holder = self.threads.get(wait.on) if wait.on is not None else None
        held = f", held by {self._holder(holder)}" if holder is not None else ""
        if wait.kind == "module":
            return f"{thread.who} waits for module {wait.module}{held}"
        if wait.kind == "import":
            finder = f" in finder {holder.finder[0]}" if holder and holder.finder else ""
            return f"{thread.who} waits for the global import lock{held}{finder}"
        if wait.kind == "lazy":
            return f"{thread.who} waits for the lazy module {wait.module}{held}"
        return f"{thread.who} waits for the end of {holder.who if holder else 'another thread'}"

    def _holder(self, holder: "Thread") -> str:
        if holder.alive is False:
            return f"{holder.who}, which has ended"
        if holder.alive and holder.frames and not holder.importing and not self._greenlets:
            return f"{holder.who}, which imports nothing any more"
        return holder.who

    # as data -------------------------------------------------------------------------------

    def shown(self, first: "list[int]") -> "list[dict[str, Any]]":
        """Every importing thread, those named first; and who they wait for."""
        wanted = list(first)
        for thread in self.threads.values():
            if thread.importing and not _ours(thread):
                wanted.append(thread.ident)
        for ident in list(wanted):
            wanted += [thread.ident for thread in self.follow(ident)[0]]
        out: list[dict[str, Any]] = []
        for ident in dict.fromkeys(wanted):
            if ident in self.threads and len(out) < _MOST_THREADS:
                out.append(self._as_data(self.threads[ident]))
        return out

    def _as_data(self, thread: "Thread") -> "dict[str, Any]":
        data: dict[str, Any] = {"thread": thread.ref()}
        if thread.alive is not None:
            data["alive"] = thread.alive
        chain = self.chain(thread)
        if chain:
            data["chain"] = chain
        at = self.at(thread)
        if at is not None:
            data["at"] = at
        if thread.finder is not None:
            data["finder"], data["finding"] = thread.finder
        wait = thread.wait
        if wait is not None:
            waits: dict[str, Any] = {"lock": wait.kind}
            if wait.module is not None:
                waits["module"] = wait.module
            holder = self.threads.get(wait.on) if wait.on is not None else None
            if holder is not None:
                waits["held_by"] = holder.ref()
                if holder.alive is not None:
                    waits["holder_alive"] = holder.alive
            if wait.ns is not None:
                waits["ms"] = round(wait.ns / 1e6, 3)
            data["waits_for"] = waits
        return data

    def chain(self, thread: "Thread") -> "list[dict[str, Any]]":
        """The import statements that are under way, outermost first, and where the innermost body stands."""
        links: list[dict[str, Any]] = []
        body: FrameType | None = None
        frames = thread.frames
        for frame, inner in zip(frames, [*frames[1:], None], strict=False):
            if internal(frame) or ours(frame):
                continue
            if frame.f_code.co_name == "<module>":
                body = frame
            if inner is not None and (internal(inner) or ours(inner)):
                links.append(self._link(frame))
                body = None
        if body is not None and any(internal(frame) for frame in frames):
            links.append(self._link(body))
        if len(links) > _MOST_LINKS:
            links = links[: _MOST_LINKS // 2] + links[-_MOST_LINKS // 2 :]
        return links

    def at(self, thread: "Thread") -> "dict[str, Any] | None":
        """The innermost place outside the import system."""
        for frame in reversed(thread.frames):
            if not internal(frame) and not ours(frame):
                at = self._link(frame)
                if frame.f_code.co_name != "<module>":
                    at["function"] = frame.f_code.co_qualname
                return at
        return None

    def _link(self, frame: "FrameType") -> "dict[str, Any]":
        file, line = frame.f_code.co_filename, frame.f_lineno
        module = frame.f_globals.get("__name__")
        link: dict[str, Any] = {}
        if type(module) is str:
            link["module"] = module
        link["file"] = file
        if line:
            link["line"] = line
            statement = self._statement(file, line)
            if statement:
                link["statement"] = statement
        return link

    def _statement(self, file: str, line: int) -> str | None:
        if not self._statements or file.startswith("<"):
            return None
        lines = self._sources.get(file)
        if lines is None:
            try:
                with open(file, "rb") as source:
                    text = source.read(_MOST_SOURCE).decode("utf-8", "replace")
            except OSError:
                text = ""
            lines = self._sources[file] = text.splitlines()
        return lines[line - 1].strip()[:200] if 0 < line <= len(lines) else None


def _frames(top: "FrameType | None") -> "list[FrameType]":
    frames = []
    while top is not None:
        frames.append(top)
        top = top.f_back
    if len(frames) > _MOST_FRAMES:
        frames = frames[: _MOST_FRAMES // 2] + frames[-_MOST_FRAMES // 2 :]
    return frames[::-1]


def _ours(thread: "Thread") -> bool:
    """A thread of ours, at its own work."""
    return bool(thread.frames) and ours(thread.frames[0])


def _qualname(frame: "FrameType") -> str:
    return frame.f_code.co_qualname


def _is_lazy(frame: "FrameType") -> bool:
    return frame.f_globals.get("__name__") == "importlib.util" and _qualname(frame) == _LAZY


def _lazy_name(module: "Any") -> str | None:
    """Without touching an attribute, which would load it."""
    try:
        name = _namespace.__get__(module)["__spec__"].name
    except Exception:
        return None
    return name if type(name) is str else None


def _plain(thing: "Any") -> "dict[str, Any]":
    try:
        found = object.__getattribute__(thing, "__dict__")
    except Exception:
        return {}
    return found if type(found) is dict else {}


def _name_of(finder: "Any") -> str:
    kind = finder if issubclass(type(finder), type) else type(finder)
    return f"{kind.__module__}.{kind.__qualname__}"
