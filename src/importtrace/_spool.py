"""Leaves every import in a file as it happens, so that a process that is killed still tells its story.

The file is mapped and its blocks are allocated beforehand: a record is a copy of some bytes, no system
call, so the interpreter's lock stays where it is (a write() beside a CPU-bound thread costs 100 µs and
more, because the lock changes hands), and a full disk is met when the file grows, not as SIGBUS.

No lock of ours guards it. `slots` holds the offsets of empty slots, one for each load; whoever takes one
out (`list.pop` is atomic with and without the GIL) alone writes there. Texts are of different lengths:
`pool` holds the offsets at which segments of text can be written on; a writer takes one out, writes
there and puts the next one back. Whoever finds none, another thread or a signal handler that imports
while its thread writes, gets a segment of its own. _spool_format.py has the layout; spool/ reads it.

`mmap`, `fcntl` and `_struct` are loaded for it; a program's own import of them is then no load any more.
"""

import _thread
import sys
from _struct import Struct
from time import perf_counter_ns as clock

from importtrace import _spool_folder as folders
from importtrace import _spool_format as layout
from importtrace._callers import FailOpen
from importtrace._recorder import Load, Recorder, lines, thread_name
from importtrace._spool_file import File, take
from importtrace._spool_hooks import hooks
from importtrace._spool_text import to_json, without_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from importtrace._recorder import Request, ThreadState

SHIFT = layout.SHIFT
StructError: "Any" = vars(sys.modules["_struct"])["error"]
MOST_PLACES = 10_000  # kept in memory, to be said once only
pack_begin = Struct(layout.BEGIN).pack_into
pack_body = Struct(layout.BODY).pack_into
# In the order of layout.LOADERS.
_LOADERS = tuple(
    [
        getattr(sys.modules["_frozen_importlib_external"], name, None)
        or getattr(sys.modules["_frozen_importlib"], name, None)
        for name in layout.LOADERS
    ]
)


class Spool:
    """One folder, and the file of this process in it.

    `began`, `entered` and `kept` run inside imports and never raise what is ours: a failure of our own
    closes the spool with one line, and tracing goes on.
    """

    def __init__(self, recorder: Recorder, config: "Any", facts: "dict[str, Any]") -> None:
        self._recorder = recorder
        self._facts = facts  # for the head
        self._folder: str = config.spool
        self._bounds = config.spool_file_mb << 20, config.spool_files, config.spool_mb << 20
        self.redacts: frozenset[str] = config.redact
        self.pool: list[int] = []
        self.slots: list[int] = []
        self.slotted: dict[Load, int] = {}  # those that are open, and their slots
        self.places: dict[int, list[Any]] = {}  # of `_place`: how far line tables were walked
        self.threads: set[int] = set()  # serials of those that are named in the file
        self.full_at = 0
        self.ours = FailOpen(self._broke).ours
        self.began, self.entered, self.kept, self._attach = hooks(self)
        self._forget()

    def _forget(self) -> None:
        self._file: File | None = None
        self._memory: Any = b""
        self._reserve: list[int] = []
        self._closed = False
        self._wanted = True  # nothing was written yet: the first record creates the file
        self._opening = _thread.RLock()
        self._causes: set[int] = set()  # ids of the failures whose cause is written
        self.places.clear()
        self._askers: dict[tuple[str | None, str | None], int] = {}
        self._numbered = 0
        self.full_at = 0
        self.pool.clear()  # in place: the hooks hold these
        self.slots.clear()
        self.slotted.clear()
        self.threads.clear()

    # the file --------------------------------------------------------------------------------

    def open(self) -> bool:
        """Create this process's file; False, and one line on stderr, where that cannot be."""
        try:
            facts = {**self._facts, "started_at": self._recorder.started_at}
            if self.redacts:
                facts["redact"] = sorted(self.redacts)
                facts["argv0"] = self._strings(facts["argv0"])
            file = File(self._folder, self._bounds, facts)
        except (folders.Refused, OSError) as error:
            reason = error if isinstance(error, folders.Refused) else error.strerror
            self._say(f"imports are not spooled: {reason}")
            self._closed = True
            return False
        finally:
            self._wanted = False
        self._file = file
        self._memory = file.map
        self._attach(file.map)
        self._reserve.append(file.reserve)
        self.pool.append(file.first)
        for state in list(self._recorder.threads.values()):
            for load in list(state.stack):
                if load.adopted:  # in a forked child: what its thread had open at the fork
                    self.begins(load)
        return True

    def forked(self, start_ns: int, parent: "dict[str, Any]") -> None:
        """In a forked child: the file is the parent's. One of its own comes with the first import.

        ``parent`` is the pid and the start of the trace that this one was forked from.
        """
        system: Any = sys.modules["posix"]
        if self._file is not None:
            self._file.abandon()
        self._facts["pid"] = system.getpid()
        self._facts["parent_pid"] = system.getppid()
        self._facts["start"] = start_ns
        self._facts["parent_trace"] = parent
        self._forget()

    def finish(self, end: str, why: str = "") -> None:
        """The process, or the tracing, ends in an orderly way: nothing is written any more."""
        file, closed = self._file, self._closed
        self._closed = True
        if file is None or closed:
            return
        argv = getattr(sys, "argv", None)
        argv0 = argv[0] if argv and type(argv[0]) is str else ""
        try:
            self._failures()
            self.write(f"z{clock()}\x1f{self._strings(end, argv0, why)}", True)
            file.finish()
        finally:
            self._stop()
            self._reserve.clear()

    def _broke(self, error: BaseException) -> None:
        if not self._closed:
            self._closed = True
            self._stop()
            self._say(f"spool closed, tracing goes on without it ({type(error).__name__}: {error})")

    def _stop(self) -> None:
        self.pool.clear()
        self.slots.clear()
        self.slotted.clear()

    def _say(self, line: str) -> None:
        from importtrace.config import warn

        warn(line)

    # writing ---------------------------------------------------------------------------------

    def write(self, text: str, important: bool = False) -> None:
        """One record. `important` ones may use the reserve when the file is full."""
        data = text.encode("utf-8", "surrogatepass")
        at = take(self.pool)
        end = at + 1 + len(data)
        if not at or (at ^ end) >> SHIFT:
            at = self._segment() if len(data) <= layout.LARGEST else 0
            if not at:
                self._overflow(data, important)
                return
            end = at + 1 + len(data)
        self._store(at, data)
        self.pool.append(end)

    def _store(self, at: int, data: bytes) -> None:
        """The mark last: the record is there whole, or not at all."""
        memory = self._memory
        memory[at + 1 : at + 1 + len(data)] = data
        memory[at] = layout.MARK

    def _segment(self, text: bool = True) -> int:
        """The offset of a fresh segment, or of the first one's; 0 if there is none. Only where there is
        none for text is the file full."""
        if self._wanted and not self._closed:
            # as threading.Condition asks; typeshed does not know it
            if self._opening._is_owned():  # type: ignore[attr-defined]
                return 0  # we are a signal handler of the thread that is creating the file
            with self._opening:
                if self._wanted:
                    self.open()
            at = take(self.pool) if text else 0
            if at:
                return at
        file = self._file
        if file is None or self._closed or self.full_at:
            return 0
        at = file.segment()
        if not at and text:
            self.full_at = clock()
            self.pool.clear()
            self.slots.clear()
            file.mark_full(self.full_at)
            self._say(f"{file.path!r}: {file.full_because}; later imports are only counted there")
        return at

    def _overflow(self, data: bytes, important: bool) -> None:
        """What explains goes into the reserve; what is missing is counted."""
        file = self._file
        if file is None or self._closed:
            return
        if important and self.full_at:
            at = take(self._reserve)  # 0: another thread has it just now
            end = at + 1 + len(data)
            if at and not (at ^ end) >> SHIFT:
                self._store(at, data)
                self._reserve.append(end)
                return
            if at:
                self._reserve.append(at)
            if data[0] in b"eE":
                file.mark_ends_lost()
        if data[0] not in b"set":  # of a load, its begin is counted
            file.lose()

    def again(self, error: BaseException, call: "Any", record: "Load | Request") -> bool:
        """Whether a hook met what only the long way can write, and that has done it: no slot is left,
        this load or its parent has none, a name is no UTF-8, a number too large."""
        tb = error.__traceback__
        if (
            type(error) not in (IndexError, KeyError, UnicodeEncodeError, StructError)
            or (tb is not None and tb.tb_next is not None)  # a signal handler's
        ):
            return False
        try:
            call(record)
        except BaseException as second:
            if not self.ours(second):
                raise
        return True

    # records, the long way -------------------------------------------------------------------

    def begins(self, record: "Load | Request") -> None:
        thread = record.thread
        if thread.serial not in self.threads:
            self._thread(thread)
        if not isinstance(record, Load):
            self._request(record)
            return
        where, line = self._place(record)
        flags = (
            (layout.IMPLIED if record.implied else 0)
            | (layout.FROM_LIST if record.from_list else 0)
            | (layout.ADOPTED if record.adopted else 0)
        )
        if not self._slot(record, where, line, flags):
            self.write(
                f"b{thread.serial} {record.begin} {_key(record.parent)} {line} {flags}\x1f"
                f"{self._strings(record.name, record.importer, where)}"
            )
        if record.found:  # mode `finder` tells of a load when it was found; or adopted in a child
            self.enters(record)

    def _slot(self, load: Load, where: str | None, line: int, flags: int) -> bool:
        """Whether the begin of a load was written into a slot of its own."""
        parent = load.parent
        above = self.slotted.get(parent, 0) if parent is not None else 0
        name = load.name.encode("utf-8", "surrogatepass")
        if (
            (parent is not None and not above)
            or len(name) > layout.MOST_NAME
            or not 0 <= line < 1 << 32
            or self.redacts
            or sys.byteorder != "little"
        ):
            return False
        asker = 0
        if (
            parent is None
            or load.importer != parent.name
            or type(parent.origin) is not str
            or where != parent.origin
        ):
            asker = self._asker(load.importer, where)
            if not asker:
                return False
        at = take(self.slots) or self._more_slots()
        if not at:
            return False
        serial = load.thread.serial
        pack_begin(
            self._memory,
            at + layout.AT_BEGIN,
            *(load.begin, above, line, serial, asker, flags, name, layout.MARK),
        )
        self.slotted[load] = at
        return True

    def _more_slots(self) -> int:
        """The first slot of a fresh segment of them; 0 if there is none, or no room for one."""
        base = self._segment(text=False)
        if not base:
            return 0
        self._memory[base] = layout.SLOTS
        last = base + layout.SEGMENT - layout.SLOT
        fresh = list(range(base + layout.SLOT, last + 1, layout.SLOT))
        self.slots.extend(fresh[:0:-1])  # pop() takes the lowest
        return fresh[0]

    def _asker(self, module: str | None, file: str | None) -> int:
        """The number under which the file says who asked; 0: there are too many."""
        key = module, file
        number = self._askers.get(key, 0)
        if not number and self._numbered < layout.MOST_ASKERS:
            if len(self._askers) > MOST_PLACES:
                self._askers.clear()
            self._numbered = number = self._numbered + 1
            self.write(f"p{number}\x1f{self._strings(module, file)}")
            self._askers[key] = number
        return number

    def enters(self, load: Load) -> None:
        at = self.slotted.get(load, 0)
        if at and type(load.origin) is str:
            origin = load.origin.encode("utf-8", "surrogatepass")
            for number, loader in enumerate(_LOADERS):
                if load.loader is loader and len(origin) <= layout.MOST_ORIGIN:
                    how = load.flags & 4 | number << 3
                    place = at + layout.AT_BODY
                    pack_body(self._memory, place, load.found, load.body, how, origin, layout.MARK)
                    return
        self.write(
            f"s{load.thread.serial} {load.begin} {load.found} {load.body} "
            f"{layout.COMPILED if load.compiled else 0}\x1f{self._found_by(load)}"
        )

    def ends(self, record: "Load | Request") -> None:
        if record.thread.serial not in self.threads:
            self._thread(record.thread)
        if not isinstance(record, Load):
            self._request(record)
            return
        load = record
        if not load.end:
            return  # tracing ends before the load does
        if load.error is not None:
            self._failed(load)
        elif load.begin > self.full_at > 0:
            return  # its begin did not fit
        flags = (
            (layout.RELOAD if load.reload else 0)
            | (layout.COMPILED if load.compiled else 0)
            | (layout.VOID if load.void else 0)
            | (layout.FAILED if load.error is not None else 0)
        )
        self.write(
            f"E{load.thread.serial} {load.begin} {load.end} {load.found} {load.body} "
            f"{load.wait} {load.harmless} {flags} {_key(load.holder)}\x1f"
            f"{self._strings(load.name)}\x1f{self._found_by(load)}",
            True,
        )

    def _request(self, request: "Request") -> None:
        where, line = self._place(request)
        owner = request.owner.serial if request.owner is not None else 0
        self.write(
            f"r{request.thread.serial} {request.begin} {request.end} {request.wait} "
            f"{_key(request.parent)} {_key(request.of)} "
            f"{line} {layout.DEADLOCKS.index(request.deadlock)} {owner}\x1f"
            f"{self._strings(request.name, request.importer, where)}",
            True,
        )

    def _thread(self, thread: "ThreadState") -> None:
        name = thread.name or thread_name(thread.ident)
        if name is not None:
            self.threads.add(thread.serial)  # else its name may become known
        self.write(f"t{thread.serial} {thread.ident}\x1f{self._strings(name)}", True)

    def _failed(self, load: Load) -> None:
        """What a load failed with, and the cause as soon as it is known."""
        caught: Any = load.failure
        assert load.error is not None
        kind, message = load.error
        if "messages" in self.redacts:
            message = None
        first = caught.loads[0] if caught is not None and caught.loads else load
        self.write(
            f"x{_key(load)} {_key(first)} {0 if message is None else layout.HAS_MESSAGE}\x1f"
            f"{self._strings(kind, message)}",
            True,
        )
        if caught is not None:
            self._cause(caught)

    def _cause(self, caught: "Any") -> None:
        cause = caught.cause
        if cause is None or id(caught) in self._causes:
            return
        if len(self._causes) > 10_000:
            self._causes.clear()  # told twice does no harm
        self._causes.add(id(caught))
        key = _key(caught.loads[0] if caught.loads else None)
        self.write(f"c{key}\x1f{to_json(cause, self.redacts)}", True)

    def _failures(self) -> None:
        """Causes that were worked out after their loads had ended; failures that nobody caught."""
        for caught in list(self._recorder.failures):
            self._cause(caught)
            if caught.uncaught and caught.loads:
                self.write(f"u{_key(caught.loads[0])}", True)

    def told(self) -> None:
        """An excepthook has seen an error that nobody caught."""
        self._outside(self._failures)

    def ready(self, at: int, reason: str) -> None:
        """The start-up is over."""
        self._outside(self.write, f"y{at}\x1f{self._strings(reason)}", True)

    def hangs(self, stall: "dict[str, Any]") -> None:
        """An import makes no progress, or does again: the watchdog's report."""
        self._outside(
            self.write, f"h{stall['reported_ns']}\x1f{to_json(stall, self.redacts)}", True
        )

    def _outside(self, call: "Any", *arguments: "Any") -> None:
        try:
            call(*arguments)
        except BaseException as error:
            if not self.ours(error):
                raise

    def _found_by(self, load: Load) -> str:
        loader = load.loader
        origin = load.origin if type(load.origin) is str else None
        return self._strings(origin, loader.__qualname__ if loader is not None else None)

    def _strings(self, *strings: str | None) -> str:
        found = [text or "" for text in strings]
        if "home" in self.redacts:
            found = [without_home(text) for text in found]
        return "\x1f".join([text.replace("\0", "\\0").replace("\x1f", "\\x1f") for text in found])

    def _place(self, record: "Load | Request") -> "tuple[str | None, int]":
        """File and line of the importer, from line table and offset where that is all there is.

        The imports of one body come in the order of its instructions: each goes on where the one
        before it stopped, so that all of them together walk the table once.
        """
        where: Any = record.where
        offset = record.line
        if type(where) is not tuple:
            return where, offset
        table = where[1]
        place = self.places.get(id(table))
        if place is None or place[0] is not table or place[2] > offset:
            if len(self.places) > 200:
                self.places.clear()
            place = self.places[id(table)] = [table, lines(where), 0, 0, 0]
        if offset >= place[3]:
            for start, end, line in place[1]:
                if offset < end:
                    place[2:] = start, end, line
                    break
            else:
                place[2:] = offset, 1 << 62, 0
        return where[0], place[4] or 0


def _key(load: "Load | None") -> str:
    return f"{load.thread.serial} {load.begin}" if load is not None else "0 0"
