"""Orders the three warm-up threads, so that the race comes out the same way every time.

In a real service the disk, the CPU limit and the scheduler decide the order, and it fails in one
container of a thousand. Here each thread stops at one place until the others have come to theirs.
The gates do not cause the failure, they take the luck out of it.

A gate never sleeps for an order and never hangs: it looks, for at most ``LIMIT_S`` seconds, whether
the other thread has ended or waits for a module lock, then lets go. Nothing is armed until
``start`` is called: ``import exceptions`` alone passes every gate at once.
"""

import sys
import threading
import time
from collections.abc import Callable

LIMIT_S = 10.0

_threads: list[threading.Thread] = []
_at_gate: set[threading.Thread] = set()
_ended: set[threading.Thread] = set()


def start(threads: list[threading.Thread]) -> None:
    """Arm the gates and start the threads: the first, then the others once it is half-way."""
    _threads.extend(threads)
    first, *others = threads
    first.start()
    _until(lambda: _as_far_as_it_can(first))
    for thread in others:
        thread.start()


def service_half_built() -> None:
    """In exceptions_service: thread 1 lets the others come as far as they can without it."""
    _gate(1, lambda: all(_as_far_as_it_can(thread) for thread in _threads[1:]))


def agent_built() -> None:
    """At the end of exceptions_agent: thread 2 lets thread 1 give up, or wait for this module."""
    _gate(2, lambda: _has_ended_or_waits(_threads[0]))


def name_looked_up() -> None:
    """Where the package is asked for a name: thread 3 lets thread 2 see what thread 1 left."""
    _gate(3, lambda: _has_ended_or_waits(_threads[1]))


def leave() -> None:
    """The import of this thread is over. Errors are printed in the order of the threads."""
    thread = threading.current_thread()
    _ended.add(thread)
    earlier = _threads[: _threads.index(thread)]
    _until(lambda: len(_ended) == len(_threads) and not any(one.is_alive() for one in earlier))


def _gate(number: int, opens: Callable[[], bool]) -> None:
    thread = threading.current_thread()
    if _threads and thread is _threads[number - 1]:
        _at_gate.add(thread)
        _until(opens)
        _at_gate.discard(thread)


def _as_far_as_it_can(thread: threading.Thread) -> bool:
    return thread in _at_gate or _has_ended_or_waits(thread)


def _has_ended_or_waits(thread: threading.Thread) -> bool:
    if thread in _ended:
        return True
    # importlib takes `wakeup` after it has looked for a deadlock, just before it sleeps. Anywhere
    # else in acquire() a thread might still find one, and so become the thread that gives way.
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or frame.f_code.co_name != "acquire":
        return False
    wakeup = getattr(frame.f_locals.get("self"), "wakeup", None)
    return wakeup is not None and wakeup.locked()


def _until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not seen() and time.monotonic() < deadline:
        time.sleep(0.001)
