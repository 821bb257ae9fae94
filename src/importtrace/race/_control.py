"""In the child: one thread runs at a time, and who goes on is decided at each point.

A thread has the token, or stands at its gate. Points are few (`_points`): about to take a module's lock,
has given it back, a body is about to start, a line of a body. There the thread with the token asks
`decide` who goes on. What cannot go on is read off the interpreter, never assumed:

    waiting   the module lock is another thread's and CPython would wait for it. The thread is entered in
              CPython's own table of blocked threads, so that its deadlock detector sees what it would
              see, and is woken when that lock is given back, as CPython would.
    outside   it sleeps in something else (a lock of the program's, a join, a socket). Seen by `_tasks`
              while it has the token; the token goes to another, and the thread is back at its next point.

No point while the global import lock is held: a finder at work would stop every importing thread.
Standard-library-free, like all of the child's files: what is imported here would be hidden from the target.
"""

import _imp
import _thread
import sys
from time import monotonic, sleep

from importtrace.race import _tasks
from importtrace.race._limits import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

READY, RUNNING, WAITING, OUTSIDE, DONE = "ready", "running", "waiting", "outside", "done"

TICK_S = 0.004  # how often a silent thread is looked at
PATIENCE_S = 0.25  # asleep for so long, in something that may end by itself: others go on meanwhile
HOLD_S = 1.0  # how long threads that could go on wait for one that runs without the token
SETTLE_S = 0.03  # how long a thread that has just been woken may take to its next point
MOST_STEPS = 50_000


class Thread:
    """One thread that is controlled. `open`: the modules whose locks it holds, outermost first."""

    __slots__ = (
        "counts",
        "entry",
        "gate",
        "ident",
        "index",
        "inside",
        "mark",
        "nid",
        "open",
        "spawned",
        "state",
        "waiting",
        "wild",
        "woken",
    )

    def __init__(self, index: int, entry: str, spawned: bool) -> None:
        self.index = index
        self.entry = entry
        self.spawned = spawned
        self.gate = _thread.allocate_lock()
        self.gate.acquire()
        self.state = READY
        self.ident = self.nid = 0
        self.counts: dict[tuple[str, str], int] = {}
        self.open: list[str] = []
        self.waiting: Any = None
        self.woken = False
        self.inside = False
        self.mark = -1  # of `_tasks`, when it was last seen asleep
        self.wild = 0


class Control:
    """`decide(control, current, kind, module, nth, runnable) -> index` says who goes on; `current` is the
    index of the thread at the point, which is in `runnable` unless it cannot go on. -1: nobody, until a
    thread that runs without the token comes to a point; if none does, it is asked once more, as "stuck"."""

    def __init__(self, decide: "Callable[..., int]") -> None:
        self.decide = decide
        self.threads: list[Thread] = []
        self.by_ident: dict[int, Thread] = {}
        self.holder: Thread | None = None
        self.steps: list[tuple[Any, ...]] = []
        self.switches: list[tuple[int, str, str, int, int]] = []
        self.loaded: list[str] = []
        self.count = 0
        self.entries = 0  # that have not ended
        self.roaming = 0  # threads that run or sleep without the token
        self.verdict: str | None = None
        self.words = -1  # a file, see `_child.run`
        self.beats = -1  # a file that grows by a byte with each body, or none
        self.bodies = 0
        self.slow = False  # the time is over, but it was getting on
        self.mark: Callable[[str], None] | None = None  # is told of each body before it runs
        self.mutex = _thread.allocate_lock()
        self.over = _thread.allocate_lock()
        self.over.acquire()

    # threads -------------------------------------------------------------------------------

    def add(self, entry: str, spawned: bool = False) -> Thread:
        """A thread to come. One that a body starts runs freely until its first point."""
        with self.mutex:
            thread = Thread(len(self.threads) + 1, entry, spawned)
            self.threads.append(thread)
            if spawned:
                thread.state = OUTSIDE
                self.roaming += 1
            else:
                self.entries += 1
        return thread

    def here(self, thread: Thread) -> None:
        """Called in the thread itself, first."""
        thread.ident = _thread.get_ident()
        thread.nid = _tasks.native_id()
        self.by_ident[thread.ident] = thread

    def not_started(self, thread: Thread) -> None:
        with self.mutex:
            thread.state = DONE
            self.roaming -= 1

    def alone(self, entry: str) -> None:
        """Only this thread: points are noted, and nobody else goes on."""
        thread = self.add(entry)
        self.here(thread)
        thread.state = RUNNING
        self.holder = thread

    def start(self) -> None:
        """All entries stand at their gates: the first one goes on."""
        with self.mutex:
            chosen = self._decide(None, "start", "", 1, False)
            if chosen is not None:
                self._hand(chosen)

    def end(self, thread: Thread) -> None:
        """Called in the thread itself, last."""
        thread.inside = True
        if self.roaming:
            self._settle(thread)
        with self.mutex:
            if thread.state == OUTSIDE:
                self.roaming -= 1
            thread.state = DONE
            self.by_ident.pop(thread.ident, None)
            if not thread.spawned:
                self.entries -= 1
                if not self.entries:
                    self.over.release()
                    self.holder = None
                    return
            if self.holder is thread:
                chosen = self._decide(thread, "end", "", 1, False)
                if chosen is not None:
                    self._hand(chosen)

    # points --------------------------------------------------------------------------------

    def point(self, kind: str, module: str) -> None:
        """The calling thread is about to do `kind` with `module`."""
        thread = self.by_ident.get(_thread.get_ident())
        if thread is None or thread.inside or self.verdict is not None or _imp.lock_held():
            return
        thread.inside = True  # a destructor that imports, in the middle of this
        try:
            if self.mark is not None and kind in ("body", "acquire"):
                self.mark(module)
            if kind == "body":
                self.bodies += 1
                if self.beats >= 0:
                    _tasks.beat(self.beats)
            nth = self._nth(thread, kind, module)
            if self.roaming:
                self._settle(thread)
            with self.mutex:
                if thread.state == OUTSIDE:
                    self.roaming -= 1
                    thread.state = READY
                    if self.holder is None:
                        self.holder = thread
                if self.holder is thread:
                    chosen = self._decide(thread, kind, module, nth, True)
                    if chosen is thread:
                        thread.state = RUNNING
                        return
                    thread.state = READY
                    if chosen is not None:
                        self._hand(chosen)
            thread.gate.acquire()
        finally:
            thread.inside = False

    def wait(self, thread: Thread, lock: "Any") -> None:
        """The lock is another's. Returns when it was given back since, and this thread goes on."""
        thread.inside = True
        try:
            nth = self._nth(thread, "wait", lock.name)
            with self.mutex:
                if thread.state == OUTSIDE:
                    self.roaming -= 1
                thread.state = WAITING
                thread.waiting = lock
                thread.woken = lock.owner is None
                if self.holder is thread or self.holder is None:
                    chosen = self._decide(thread, "wait", lock.name, nth, False)
                    if chosen is not None:
                        self._hand(chosen)
            thread.gate.acquire()
            self._note(thread, "wake", lock.name)
        finally:
            thread.inside = False

    def taken(self, lock: "Any", first: bool) -> None:
        thread = self.by_ident.get(_thread.get_ident())
        if thread is not None:
            self._note(thread, "taken" if first else "own", lock.name)
            if first:
                thread.open.append(lock.name)

    def refused(self, lock: "Any") -> None:
        """CPython has found that waiting for this lock would never end."""
        thread = self.by_ident.get(_thread.get_ident())
        if thread is not None:
            self._note(thread, "refused", lock.name)

    def released(self, lock: "Any") -> None:
        """Nobody holds it now: all that wait for it look again, as CPython lets them."""
        name = lock.name
        with self.mutex:
            for other in self.threads:
                if other.waiting is lock and other.state == WAITING:
                    other.woken = True
        thread = self.by_ident.get(_thread.get_ident())
        if thread is None:
            return
        if thread.open and thread.open[-1] == name:
            thread.open.pop()
        elif name in thread.open:
            thread.open.remove(name)
        if self.mark is not None and thread.open:
            self.mark(thread.open[-1])  # what runs on from here is the body of the importer
        if name in sys.modules and sys.exception() is None:
            self.loaded.append(name)
        self.point("release", name)

    def _nth(self, thread: Thread, kind: str, module: str) -> int:
        self.count += 1
        key = kind, module
        nth = thread.counts.get(key, 0) + 1
        thread.counts[key] = nth
        return nth

    def _note(self, thread: Thread, what: str, module: str) -> None:
        if len(self.steps) < MOST_STEPS:
            self.steps.append((thread.index, what, module, 0, 0, 0, self._top(thread)))

    def _top(self, thread: "Thread | None") -> str:
        return thread.open[-1] if thread is not None and thread.open else ""

    # the token (with the mutex held) -------------------------------------------------------

    def _decide(
        self, current: "Thread | None", kind: str, module: str, nth: int, able: bool
    ) -> "Thread | None":
        runnable = [
            thread.index
            for thread in self.threads
            if thread.state == READY
            or (thread.state == WAITING and thread.woken)
            or (able and thread is current)
        ]
        if not runnable:
            self.holder = None
            return None
        here = current.index if current is not None else 0
        default = here if able else runnable[0]
        chosen = self.decide(self, here, kind, module, nth, runnable)
        if chosen == -1 and self.roaming and kind != "stuck":
            self.holder = None
            return None
        if chosen not in runnable:
            chosen = default
        if len(self.steps) < MOST_STEPS:
            mask = 0
            for index in runnable:
                mask |= 1 << index
            self.steps.append((here, kind, module, nth, chosen, mask, self._top(current)))
        if chosen != default:
            self.switches.append((here, kind, module, nth, chosen))
        return self.threads[chosen - 1]

    def _hand(self, thread: Thread) -> None:
        thread.waiting = None
        thread.woken = False
        thread.state = RUNNING
        self.holder = thread
        thread.gate.release()

    # what is not controlled ----------------------------------------------------------------

    def _settle(self, caller: Thread) -> None:
        """Threads without the token come as far as they can, so that a replay finds them there."""
        for thread in self.threads:
            if thread.state != OUTSIDE or thread is caller or thread.wild > 2:
                continue
            until = monotonic() + SETTLE_S
            seen, since = -2, 0.0
            while thread.state == OUTSIDE:
                asleep, moved = _tasks.look(thread.nid)
                now = monotonic()
                if asleep and moved == thread.mark:
                    break  # has not run since it was last seen asleep
                if not asleep or moved != seen:
                    seen, since = moved, now
                elif now - since > 0.007:  # longer than a wait for the GIL without a look round
                    thread.mark = moved
                    break
                if now > until:
                    thread.wild += 1
                    break
                sleep(0.0005)

    def watch(self, limit_s: float) -> None:
        """In a thread of its own (the main one): until all entries have ended, or `verdict` says why not."""
        begin = got_on = monotonic()
        deadline, bodies = begin + limit_s, 0
        count, since, mark, dead = -1, 0.0, -2, 0
        while not self.over.acquire(True, TICK_S):
            now = monotonic()
            if self.bodies != bodies:
                bodies, got_on = self.bodies, now
            if now > deadline:
                deadline, slow = later(begin, now, limit_s, got_on, _tasks.held_back())
                if deadline > now:
                    continue
                self.slow = slow
                self.verdict = "timeout"
                return
            if self.count != count:
                count, since, mark, dead = self.count, now, -2, 0
                continue
            holder = self.holder
            if holder is None:
                # nobody can go on: for good, if nothing in this process will ever wake by itself
                dead = dead + 1 if _tasks.written(self.words) or self._all_stuck() else 0
                since = since or now
                if (dead >= 3 or now - since > HOLD_S) and self._resume():
                    since, dead = 0.0, 0
                elif dead >= 3:
                    self.verdict = "deadlock"
                    return
                continue
            asleep, moved = _tasks.look(holder.nid)
            if not asleep or moved != mark:
                since, mark = now, moved if asleep else -2
                continue
            if _tasks.for_ever(holder.nid) or now - since > PATIENCE_S:
                self._outside(holder, count, moved)
                count = -1

    def _outside(self, thread: Thread, count: int, mark: int) -> None:
        with self.mutex:
            if self.holder is not thread or self.count != count or thread.inside:
                return
            top = self._top(thread)
            thread.state = OUTSIDE
            thread.mark = mark
            self.roaming += 1
            chosen = self._decide(thread, "outside", top, self._nth(thread, "outside", top), False)
            if chosen is not None:
                self._hand(chosen)

    def _resume(self) -> bool:
        """Somebody was told to wait for a thread that does not come."""
        with self.mutex:
            if self.holder is not None:
                return True
            chosen = self._decide(None, "stuck", "", 1, False)
            if chosen is not None:
                self._hand(chosen)
        return chosen is not None

    def _all_stuck(self) -> bool:
        """Every thread of the process but this one sleeps, and nothing but another thread can wake it."""
        return all(
            _tasks.look(nid)[0] and _tasks.for_ever(nid)
            for nid in _tasks.others(_tasks.native_id())
        )
