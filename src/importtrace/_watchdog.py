"""Notices an import that hangs, while it hangs.

One thread of ours looks at the recorder every few moments; the import path knows nothing of it. It is
started by `_thread`, so `threading` does not list it and nobody joins it, blocks every signal, so that
none meant for the program is delivered to it, and ends before each fork and at the exit.

A thread makes progress when it begins or ends a load or a wait, or a body starts. One that has an
import open and made none for the stall time is reported, once, and again when it goes on.
"""

import _imp
import _thread
import sys
from time import perf_counter_ns as clock

from importtrace import _compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace._recorder import Load, Recorder, Request, ThreadState

_STOP_S = 2.0  # how long a fork or the exit waits for our thread
_MOST_STALLS = 100


class Stall:
    """One thread's import that makes no progress: `subject` is the load or the request it is about.

    Without a thread it is about the global import lock, held by somebody who is importing nothing.
    """

    __slots__ = ("data", "progress", "since", "state", "subject")

    def __init__(
        self, state: "ThreadState | None", subject: "Load | Request | None", since: int
    ) -> None:
        self.state = state
        self.subject = subject
        self.since = since  # clock() of the last progress
        self.progress: Any = None
        self.data: dict[str, Any] = {}  # the report


class _Life:
    """One thread, from start to stop."""

    __slots__ = ("done", "native", "over", "wake")

    def __init__(self, lock: "Callable[[], Any]") -> None:
        self.wake = lock()
        self.done = lock()
        self.wake.acquire()
        self.done.acquire()
        self.over = False
        self.native = ""


class Watchdog:
    """`report(new, ended)` is called on our thread with what has stalled since, and what goes on."""

    def __init__(
        self,
        recorder: "Recorder",
        stall_s: float,
        report: "Callable[[list[Stall], list[Stall]], object]",
        broken: "Callable[[BaseException], object]",
    ) -> None:
        self._recorder = recorder
        self._stall_ns = int(stall_s * 1e9)
        self._report = report
        self._broken = broken
        self._interval_s = min(max(stall_s / 4, 0.02), 2.5)
        self._life: _Life | None = None
        # Of `_life`, for a few stores. Re-entrant: a signal handler may fork in the middle of them.
        self._change: Any = _change_lock()
        self.rests = True  # whether the recorder tells of outermost imports
        self.ready_at = 0  # loads that were open then, a server's for instance, may last
        self.stalls: list[Stall] = []
        self._forget()

    def _forget(self) -> None:
        self._watched = 0  # ns; a process that was stopped, or a suspended machine, does not hang
        self._looked_at = clock()
        self._read = 0  # of the log
        self._latest: dict[int, int] = {}  # thread serial -> end of its last record
        self._marks: dict[int, tuple[Any, int]] = {}  # serial -> (what it is at, watched by then)
        self._current: dict[int, Stall] = {}  # by serial; 0 is the import lock's
        self._lock_since = self._lock_at = self._lock_records = 0
        # in a forked process: the idents that wait for a lock that nobody holds; called after a look
        self.hopeless: Callable[[], dict[int, int]] | None = None
        self.after_look: Callable[[], None] | None = None

    # the thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Does nothing where it runs, is turned off, or where no real thread is to be had."""
        if self._life is not None or not self._stall_ns:
            return
        start, lock = native("start_new_thread"), native("allocate_lock")
        if start is None or lock is None:
            return  # a greenlet would sleep whenever the program does
        if not _compat.in_main_interpreter():
            return  # a sub-interpreter that ends with a thread of its own left ends the process
        with self._change:
            if self._life is not None:
                return  # two threads began an import at once
            life = self._life = _Life(lock)
            self._looked_at = clock()
            try:
                if not _compat.start_deaf(lambda: start(self._run, (life,))):
                    self._life = None
            except BaseException:  # a signal handler's
                self._life = None
                life.over = True
                _release(life.wake)
                raise

    def start_with_next_import(self) -> None:
        """As `start`, once a thread begins an import of its own."""
        if self._life is None and self._stall_ns:
            self._recorder.outermost = self._start_again

    def _start_again(self) -> None:
        self._recorder.outermost = None
        self.start()

    def stop(self, *, for_the_system: bool = True) -> bool:
        """End the thread; bounded. True where it ran, and is over.

        `for_the_system`: wait until it is over there, too, where a fork counts the threads.
        """
        with self._change:
            self._recorder.outermost = None
            life, self._life = self._life, None
            if life is None:
                return False
            life.over = True
        _release(life.wake)
        if life.native and life.native == _native_id():
            return False  # it is this one, that forks in the program's own log handler
        if not life.done.acquire(timeout=_STOP_S):
            return False
        for turn in range(1000 if for_the_system else 0):
            if not _exists(life.native):
                break
            life.done.acquire(timeout=0.00002 if turn < 50 else 0.001)  # it is taken: this sleeps
        return True

    def wake(self) -> None:
        """Look now: somebody is about to wait for what can never come."""
        life = self._life
        if life is not None:
            _release(life.wake)

    def _run(self, life: "_Life") -> None:
        try:
            life.native = _native_id()
            while not life.over:
                if life.wake.acquire(timeout=self._interval_s) and not life.over:
                    life.wake.acquire(timeout=0.05)  # that somebody is waiting by then
                if life.over or self._recorder.off:
                    break
                self.look()
                if self._nothing_open() and self._rest(life):
                    break
        except BaseException as error:
            if not life.over:
                self._broken(error)
        finally:
            life.done.release()

    def _nothing_open(self) -> bool:
        states = list(self._recorder.threads.values())
        return not _imp.lock_held() and not any(
            one.waiting is not None or any(not load.end for load in list(one.stack))
            for one in states
        )

    def _rest(self, life: "_Life") -> bool:
        """Nothing is being imported: no thread until something is. False where it is after all."""
        if not self.rests or self.hopeless is not None:
            return False
        with self._change:
            if life.over:
                return True
            self._life = None
            self._recorder.outermost = self._start_again  # first, so that no begin is missed
            if self._nothing_open():
                return True
            self._recorder.outermost = None
            if self._life is not None:
                return True  # that begin has started another one
            self._life = life
            return False

    def restart_in_child(self) -> None:
        """After a fork: our thread stayed in the parent, and so did what it was watching."""
        self._change = _change_lock()  # another thread may have been in the middle of a change
        self._life = None
        self.stalls = []
        self.ready_at = 0
        self._forget()

    # looking -------------------------------------------------------------------------------

    def look(self) -> None:
        """Compare with the last look. On our thread, and at the end on the one that stops it."""
        now = clock()
        passed = min(now - self._looked_at, int(self._interval_s * 2e9))
        self._watched += passed
        self._looked_at = now
        self._read_log()
        new: list[Stall] = []
        ended: list[Stall] = []
        hopeless = self.hopeless() if self.hopeless is not None else {}
        seen = set()
        for state in list(self._recorder.threads.values()):
            seen.add(state.serial)
            subject, since = self._at(state)
            known = self._current.get(state.serial)
            progress = (id(subject), since, state.dropped)
            if known is not None and known.progress != progress:
                ended.append(self._current.pop(state.serial))
                known = None
            if subject is None:
                self._marks.pop(state.serial, None)
                continue
            mark = self._marks.get(state.serial)
            if mark is None or mark[0] != progress:
                began = self._watched - min(now - since, passed)
                mark = self._marks[state.serial] = progress, began
            late = self._watched - mark[1] >= self._stall_ns or state.ident in hopeless
            if known is None and late:
                stall = Stall(state, subject, since)
                stall.progress = progress
                self._current[state.serial] = stall
                new.append(stall)
        for serial in [one for one in self._current if one and one not in seen]:
            ended.append(self._current.pop(serial))
        self._import_lock(now, new, ended)
        if new or ended:
            self.stalls += new[: max(0, _MOST_STALLS - len(self.stalls))]
            self._report(new, ended)
        if self.after_look is not None:
            self.after_look()

    def _at(self, state: "ThreadState") -> "tuple[Load | Request | None, int]":
        """What a thread is at, and when it last made progress."""
        if state.muted:
            return None, 0
        waiting = state.waiting
        if waiting is not None:
            return waiting, waiting.begin
        for load in reversed(list(state.stack)):
            if load.end:
                continue
            if load.begin < self.ready_at:
                return None, 0
            return load, max(load.begin, load.body, self._latest.get(state.serial, 0))
        return None, 0

    def _read_log(self) -> None:
        log = self._recorder.log
        if len(log) < self._read:
            self._read = 0
        # (a slice of a list is one step, whatever other threads append meanwhile)
        for record in log[self._read :]:
            self._latest[record.thread.serial] = record.end or record.begin
            self._read += 1

    def _import_lock(self, now: int, new: "list[Stall]", ended: "list[Stall]") -> None:
        """The global import lock, held on and on while nobody's load says why: a finder that was asked
        by `importlib.util.find_spec`, say."""
        known = self._current.get(0)
        # nobody can begin a load while it is held: where one was, it was given back in between
        records = self._read + self._recorder.dropped
        if not _imp.lock_held() or records != self._lock_records:
            self._lock_records = records
            self._lock_since, self._lock_at = self._watched, now
            if known is not None:
                ended.append(self._current.pop(0))
        elif not self._current and self._watched - self._lock_since >= self._stall_ns:
            stall = self._current[0] = Stall(None, None, self._lock_at)
            new.append(stall)


def native(name: str) -> "Any":
    """`_thread`'s own function, also where gevent has put another in its place; None if it cannot be had."""
    found = getattr(_thread, name)
    if type(found) is type(len) or (isinstance(found, type) and found.__module__ == "_thread"):
        return found
    monkey = sys.modules.get("gevent.monkey")
    original = getattr(monkey, "get_original", None)
    try:
        return original("_thread", name) if original is not None else None
    except Exception:
        return None


def _change_lock() -> "Any":
    return (native("RLock") or _thread.RLock)()


def _native_id() -> str:
    """The folder in /proc of this very thread, "" where there is none."""
    system: Any = sys.modules.get("posix")
    try:
        return "/proc/" + str(system.readlink("/proc/thread-self"))
    except (OSError, AttributeError):
        return ""


def _exists(native: str) -> bool:
    system: Any = sys.modules.get("posix")
    return bool(native) and bool(system.access(native, 0))


def _release(lock: "Any") -> None:
    try:
        lock.release()
    except RuntimeError:
        pass  # woken already
