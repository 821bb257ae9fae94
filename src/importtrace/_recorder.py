"""Raw records: what the seams write down while the program imports.

Everything here is on the hot path. No lock of ours, no import, no logging: the log is a list, and
appending to it is atomic with and without the GIL. A load is one object that is filled in as it goes
on, so what is open can be seen at any moment; nothing is computed before somebody looks.

Memory is bounded: past `limit` records, loads are still followed (for parentage) but not kept, and
are counted. A reserve of a tenth is kept for failures, waits and hand-outs.
"""

import _thread
import sys
from time import perf_counter_ns as clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any


FAILED = ("BaseException", None)  # a load's error until more is known of it: so much is certain

# `Load.flags`
ASKED = 0
IMPLIED = 1
FROM_LIST = 2  # a try of importlib's whether a name of a `from` list is a submodule
COMPILED = 4  # from source, not from bytecode
SLOW = 8  # its end has more to look after
DEEP = 16  # its thread has taken the lock again, `depth` times in all


class Load:
    """One module being found, created and executed. Times are `clock()`; 0 means not reached.

    `where` is the importer's file and `line` its line; or, far down in a body, `where` is what
    `line_table` gives for its code, and `line` the offset of its instruction. What most loads never have
    is a class attribute, and goes into the instance's dict only where it is set: memory and time of the
    common case.
    `begin_load` makes one; the hottest place writes that out, since a call is dear there.
    """

    __slots__ = (
        "__dict__",
        "begin",
        "body",
        "code",
        "end",
        "flags",
        "found",
        "importer",
        "line",
        "loader",
        "name",
        "origin",
        "outer",
        "parent",
        "thread",
        "where",
    )

    name: str
    thread: "ThreadState"
    parent: "Load | None"
    begin: int
    found: int
    body: int
    end: int
    where: "Any"
    line: int
    importer: str | None
    origin: str | None
    loader: "Any"
    outer: "BaseException | None"  # the exception being handled when the load began
    code: "Any"  # that of the body, while it runs
    flags: int

    adopted = False  # open when tracing began
    create = 0  # an extension's creation began
    error: "tuple[str, str | None] | None" = None
    depth = 1  # how many times its thread holds the lock
    failure: "Any" = None
    harmless = 0  # requests by its own children, and by importlib
    holder: "Load | None" = None  # the load that was waited for before this one
    re_entered: "Load | None" = None  # the load of the same module that this one is inside of
    reload = False
    superseded = False  # one inside of it loaded the module
    void = False  # no load after all
    wait = 0
    waited: "Request | None" = None  # the request that became this load

    @property
    def implied(self) -> bool:
        return self.flags & IMPLIED != 0

    @property
    def from_list(self) -> bool:
        return self.flags & FROM_LIST != 0

    @property
    def compiled(self) -> bool:
        return self.flags & COMPILED != 0


def begin_load(
    name: str,
    thread: "ThreadState",
    parent: "Load | None",
    begin: int,
    where: "Any",
    line: int,
    importer: str | None,
    outer: BaseException | None,
) -> Load:
    """A load that has just begun."""
    load = Load()
    load.name = name
    load.thread = thread
    load.parent = parent
    load.begin = begin
    load.where = where
    load.line = line
    load.importer = importer
    load.outer = outer
    load.flags = SLOW
    load.end = load.found = load.body = 0
    load.origin = load.loader = load.code = None
    return load


class Request:
    """A thread asked for a module that another load had not finished.

    `deadlock`: CPython gave up waiting (None: it did not have to). `frame` is the id() of the asking
    frame, only to be compared with a frame that is still alive.
    """

    __slots__ = (
        "begin",
        "deadlock",
        "end",
        "frame",
        "graph",
        "importer",
        "line",
        "module",
        "name",
        "of",
        "owner",
        "parent",
        "thread",
        "wait",
        "where",
        "where_code",
    )

    def __init__(self, name: str, thread: "ThreadState", parent: "Load | None", begin: int) -> None:
        self.name = name
        self.thread = thread
        self.parent = parent
        self.begin = begin
        self.end = 0
        self.wait = 0
        self.of: Load | None = None
        self.owner: ThreadState | None = None
        self.deadlock: str | None = None  # "accepted" | "raised"
        self.graph: list[tuple[Any, ...]] | None = None
        self.where: Any = None
        self.where_code = 0
        self.line = 0
        self.importer: str | None = None
        self.frame = 0
        self.module: Any = None  # weak reference to the object handed out


class ThreadState:
    """One thread (or one greenlet that the import locks take for a thread)."""

    __slots__ = (
        "dropped",
        "failing",
        "ident",
        "muted",
        "name",
        "of_thread",
        "serial",
        "site",
        "stack",
        "started_in",
        "waiting",
    )

    def __init__(self, serial: int, ident: int, started_in: "Load | None") -> None:
        self.serial = serial
        self.ident = ident
        self.of_thread = _thread.get_ident()  # what importlib's locks call the one that made it
        self.name = thread_name(ident)
        self.stack: list[Load] = []
        self.muted = 0  # > 0 while we import for ourselves
        self.dropped = 0  # per thread, so that counting needs no lock
        self.waiting: Request | None = None
        self.started_in = started_in
        # (code, offset, module, file, line) of its last import outside of all loads: loops import there
        self.site: tuple[Any, int, str, str, int] | None = None
        self.failing: Any = None


def thread_name(ident: int) -> str | None:
    """The name `threading` knows. Where the program has not loaded it, only the main thread's is known,
    as long as no other was started."""
    threading = sys.modules.get("threading")
    if threading is None:
        return "MainThread" if _thread._count() == 0 else None
    active = getattr(threading, "_active", None)
    thread = active.get(ident) if type(active) is dict else None
    name = getattr(thread, "_name", None)
    return name if type(name) is str else None


class Recorder:
    """The log of one process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.off = False  # after uninstall(): what another tool has wrapped only forwards
        self.room = limit - limit // 10  # for ordinary loads
        self.log: list[Load | Request] = []
        self.requests: list[Request] = []  # those of the log
        self.open: dict[Any, Load] = {}  # module lock -> the load that holds it
        self.failures: list[Any] = []
        self.troubled: dict[str, list[Load]] = {}  # module -> its loads that failed
        self.threads: dict[int, ThreadState] = {}
        self.starting: dict[int, Load] = {}  # id of a Thread object -> the load that started it
        self.started_at = clock()
        # The spool's: each record as it begins, as its body starts, and as it is over (_spool.py).
        self.began: Callable[[Load | Request], None] | None = None
        self.entered: Callable[[Load], None] | None = None
        self.kept: Callable[[Load | Request], None] | None = None
        # Called once with the next load or wait that begins, when it is there to be seen (_watchdog.py).
        self.outermost: Callable[[], None] | None = None
        self.dropped_earlier = 0
        # Whose `get_ident()` names whoever has a stack of loads of its own: threads, until greenlets
        # are there (_hooks.py).
        self.who: Any = _thread
        self.local: Any = _thread._local()
        self._serial = 0
        self._serial_lock = _thread.allocate_lock()

    # threads -------------------------------------------------------------------------------

    def state(self) -> "ThreadState":
        """This thread's state. `threads` alone may give that of a dead thread with the same ident."""
        ident = self.who.get_ident()
        try:
            state: ThreadState = self.local.state
        except AttributeError:
            state = self.local.state = self.new_state(ident)
            return state
        if state.ident != ident:
            # A greenlet: each has its own stack of loads. (gevent's `_thread.get_ident()` names it,
            # and importlib's locks take it for a thread.)
            found = self.threads.get(ident)
            state = found if found is not None else self.new_state(ident)
        return state

    def new_state(self, ident: int) -> "ThreadState":
        # The only lock here: once in a thread's life, held for an addition.
        with self._serial_lock:
            self._serial += 1
            serial = self._serial
        started_in = None
        if self.starting:
            threading = sys.modules.get("threading")
            active = getattr(threading, "_active", None)
            thread = active.get(ident) if type(active) is dict else None
            if thread is not None:
                started_in = self.starting.pop(id(thread), None)
        state = ThreadState(serial, ident, started_in)
        gone = self.threads.get(ident)
        if gone is not None:  # a new thread was given a dead one's ident
            self.dropped_earlier += gone.dropped
        self.threads[ident] = state
        return state

    def shares(self, one: ThreadState, other: ThreadState) -> bool:
        """Whether both are greenlets of one thread, whom importlib's locks take for the same."""
        return self.who is not _thread and one.of_thread == other.of_thread

    def restart(self) -> None:
        """In a forked child: only this thread lives on, and what it has open began elsewhere."""
        self._serial_lock = _thread.allocate_lock()  # who held it may have stayed in the parent
        state = self.state()
        now = clock()
        self.started_at = now
        # in place: the probes hold these very objects
        self.log.clear()
        self.requests.clear()
        self.failures.clear()
        self.troubled.clear()
        self.starting.clear()
        self.threads.clear()
        self.threads[state.ident] = state
        self.dropped_earlier = state.dropped = 0
        state.waiting = None
        for order, load in enumerate(state.stack):
            load.begin = now + order  # outermost first, also where the clock is coarse
            load.adopted = True
            load.flags |= SLOW
        for lock, load in self.open.copy().items():
            if load.thread is not state:
                del self.open[lock]

    # the log -------------------------------------------------------------------------------

    def keep(self, record: "Load | Request") -> None:
        """A load that has ended, or a request. The reserve is for what explains."""
        important = isinstance(record, Request) or record.error is not None
        if len(self.log) < (self.limit if important else self.room):
            self.log.append(record)
            if isinstance(record, Request):
                self.requests.append(record)
        else:
            record.thread.dropped += 1
        if self.kept is not None:
            self.kept(record)

    def keep_interrupted(self, load: "Load", error: "BaseException | None") -> None:
        """A load whose end was interrupted by a signal handler of the program's, and what it raised."""
        if load.void or not (load.found or load.body or load.adopted):
            return
        load.end = load.end or clock()
        load.outer = load.code = None
        if load.error is FAILED or (load.error is None and load.name not in sys.modules):
            # what was in flight when the handler raised
            reason = error.__context__ if error is not None else None
            load.error = FAILED if reason is None else (type(reason).__qualname__, None)
        if not any(load is one for one in reversed(self.log)):
            self.keep(load)

    def records(self) -> "list[Load | Request]":
        """What was kept, and what is open now, by begin."""
        # What is open first: what ends meanwhile is found twice, not lost.
        found: list[Load | Request] = []
        for state in list(self.threads.values()):
            found += [load for load in list(state.stack) if not load.end]  # else its release failed
        found += self.log
        once = list({id(record): record for record in found}.values())
        once.sort(key=_begin)
        return once

    @property
    def dropped(self) -> int:
        """How many records did not fit."""
        return self.dropped_earlier + sum(state.dropped for state in list(self.threads.values()))


# Reading a frame's line is linear in the distance of the instruction, in bytes, from the start of its
# code. One this near is read at once; a body with ten thousand imports is not walked for each of them.
NEAR = 600


def place(frame: "FrameType") -> "tuple[Any, int]":
    """`where` and `line` of a record that this frame asks for."""
    code, offset = frame.f_code, frame.f_lasti
    return (code.co_filename, frame.f_lineno or 0) if offset < NEAR else (line_table(code), offset)


def line_table(code: "Any") -> "tuple[str, bytes, int]":
    """(file, table, first line): what the line of any instruction of this code can be told from later,
    at less memory than to keep the code object."""
    return code.co_filename, code.co_linetable, code.co_firstlineno


def lines(where: "tuple[str, bytes, int]") -> "Iterator[tuple[int, int, int | None]]":
    """(offset of the first instruction, of the one behind the last, line), as `code.co_lines()`."""
    _, table, first = where
    return _blank.__code__.replace(co_linetable=table, co_firstlineno=first).co_lines()


def _blank() -> None:
    pass


def _begin(record: "Load | Request") -> int:
    return record.begin
