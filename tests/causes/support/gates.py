"""Gates that order the threads of a program. Every wait is bounded and says what it was for."""

import _frozen_importlib
import threading
import time

LIMIT_S = 10.0

_gates: dict[str, threading.Event] = {}


class GateTimeout(BaseException):
    """Not an Exception: no program of the corpus catches it by mistake."""


def _gate(name):
    return _gates.setdefault(name, threading.Event())  # atomic, so both sides get one event


def open(name):
    _gate(name).set()


def wait(name):
    if not _gate(name).wait(LIMIT_S):
        raise GateTimeout(f"gate {name!r} stayed shut for {LIMIT_S:g} s")


def until_blocked(thread_name, module):
    """Returns once that thread waits for `module`'s import lock, held by another thread."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        for thread in threading.enumerate():
            if thread.name == thread_name and _waits_for(thread.ident, module):
                return
        time.sleep(0.0005)  # a poll: importlib offers nothing to wait on
    raise GateTimeout(f"thread {thread_name!r} never waited for {module!r}")


def _waits_for(ident, module):
    blocking_on = _frozen_importlib._blocking_on.get(ident)
    # one lock on 3.11, a list of locks later; empty or absent when not blocked
    locks = blocking_on if isinstance(blocking_on, list) else [blocking_on]
    return any(
        lock is not None and lock.name == module and lock.owner not in (None, ident)
        for lock in locks
    )


def run(*functions):
    """Runs each function in a thread of its name; returns {name: exception} of the failed."""
    failed = {}

    def guarded(function):
        try:
            function()
        except BaseException as error:
            failed[function.__name__] = error

    threads = [
        threading.Thread(target=guarded, args=(function,), name=function.__name__, daemon=True)
        for function in functions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LIMIT_S)
        if thread.is_alive():
            raise GateTimeout(f"thread {thread.name!r} never ended")
    return failed
