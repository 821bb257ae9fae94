"""Hands a trace to a child process that sends it (``sender``), and reaps that child.

At the ready mark nothing waits: a thread feeds and reaps the child. A live thread makes ``os.fork``
warn (3.12+), so it leaves before a fork and goes on after it. At exit the child is waited for,
within the bound: no thread can be started any more, and a container ends with its first process.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from importtrace import _compat, tracefile
from importtrace.exporters import interpreter

if TYPE_CHECKING:
    from importtrace.records import Trace

# The child keeps to timeout_s itself, counted from when it has the trace; this is for its start.
GRACE_S = 3.0
_TICK_S = 0.05
_PIPE = 1 << 16
_BOOT = (
    "import json, sys; "
    "sys.path += [p for p in json.loads(sys.argv[1]) if p not in sys.path]; "
    "from importtrace.exporters.sender import main; main()"
)


class ChildExporter:
    """One trace to one child, which sends its spans, its metrics or both."""

    def __init__(
        self,
        *,
        max_spans: int,
        long_wait_ms: int,
        timeout_s: float,
        spans: bool = True,
        metrics: bool = False,
    ) -> None:
        self.loss: str | None = None
        self._settings = {
            "max_spans": max_spans,
            "long_wait_ms": long_wait_ms,
            "timeout_s": timeout_s,
            "spans": spans,
            "metrics": metrics,
        }
        self._limit_s = timeout_s + GRACE_S
        self._process: subprocess.Popen[bytes] | None = None
        self._payload = memoryview(b"")
        self._deadline = 0.0
        self._judged = False  # its exit code was looked at; at exit two threads may come to it
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def export(self, trace: Trace, *, waited_for: bool = True) -> None:
        """Start the child; ``loss`` says why it could not be started.

        While the program waits for it, it gives up soon where nobody takes its connection.
        """
        python = interpreter.find()
        if python is None:
            self.loss = (
                f"spans not sent: {sys.executable!r} is no Python interpreter that could send "
                "them; set IMPORTTRACE_FILE to keep the trace"
            )
            return
        text = tracefile.dumps(trace).encode("utf-8", "surrogateescape")
        settings = json.dumps(
            {**self._settings, "waited_for": waited_for, "bytes": len(text)}
        ).encode()
        self._payload = memoryview(settings + b"\n" + text)
        self._deadline = time.monotonic() + self._limit_s
        try:
            self._process = subprocess.Popen(
                [python, *interpreter.FLAGS, "-c", _BOOT, json.dumps(interpreter.search_path())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=interpreter.environment(os.environ) | {"GRPC_VERBOSITY": "NONE"},
                start_new_session=True,  # Ctrl-C is for the program
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            _unblock(self._process)
        except OSError as error:
            self.loss = (
                f"spans not sent: cannot start {python!r} ({error.strerror}); "
                "set IMPORTTRACE_SPANS=off if this process may start none"
            )

    def export_in_background(self, trace: Trace) -> None:
        """As ``export``, with a thread that feeds and reaps the child; ``finish`` waits for it."""
        self.export(trace, waited_for=False)
        _watch_forks()
        _running.append(self)
        self.resume()

    def flush(self, timeout_s: float) -> bool:
        """Wait for the child to end; it says itself what it lost, on the same stderr."""
        self.pause()
        try:
            self._attend(min(self._deadline, time.monotonic() + timeout_s + GRACE_S), stop=None)
        except KeyboardInterrupt:  # whoever does not want to wait shall not
            self.abandon()
            self.loss = "interrupted while spans were sent; some may be lost"
        return self.loss is None

    def close(self) -> None:
        """Kill a child that outlived its time, and reap it."""
        self.pause()
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            process.wait()
            self.loss = self.loss or "spans not sent: the sending process did not end in time"
        if process is not None:
            _close_quietly(process)
        if self in _running:
            _running.remove(self)

    def resume(self) -> None:
        """Feed and reap the child from a thread, if none does."""
        if self._thread is not None:
            return  # a fork that began before the child did has not paused it
        self._stop.clear()
        thread = threading.Thread(target=self._run, name="importtrace-ship", daemon=True)
        if not _compat.start_deaf(thread.start):
            return  # the program has ended while it was delivered: finish() does it
        self._thread = thread

    def pause(self) -> None:
        """End that thread; the child stays."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._stop.set()
            thread.join(2.0)

    def abandon(self) -> None:
        """In a forked process: the child is the parent's."""
        if self._process is not None:
            self._process.returncode = 0  # not ours to reap, nor to warn about
            _close_quietly(self._process)
        self._process = None
        self._thread = None

    def _run(self) -> None:
        if self._attend(self._deadline, self._stop) or not self._stop.is_set():
            self.close()
            self.say_loss()

    def say_loss(self) -> None:
        """Once."""
        from importtrace.config import warn

        loss, self.loss = self.loss, None
        if loss is not None:
            warn(loss)

    def _attend(self, deadline: float, stop: threading.Event | None) -> bool:
        """Feed and reap until the deadline or ``stop``; True when the child has ended."""
        process = self._process
        if process is None:
            return True
        while process.returncode is None:
            if self._payload:
                self._feed(process)
            try:
                process.wait(0 if self._payload else _TICK_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline or (stop is not None and stop.is_set()):
                    return False
        if process.returncode != 0 and not self._judged:
            self.loss = f"spans not sent: the sending process ended with {process.returncode}"
        self._judged = True
        return True

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Write as much as the pipe takes within a tick. communicate() cannot be resumed: after a
        timeout it never writes the rest."""
        pipe = process.stdin
        assert pipe is not None
        try:
            if _has_room(pipe.fileno()):
                self._payload = self._payload[os.write(pipe.fileno(), self._payload[:_PIPE]) :]
        except BlockingIOError:
            return
        except OSError:  # the child is gone; its exit code says so
            self._payload = memoryview(b"")
        if not self._payload:
            _close_quietly(process)


_running: list[ChildExporter] = []
_watching_forks = False


def finish(timeout_s: float) -> None:
    """Wait for children that were started in the background; say what is lost."""
    for exporter in list(_running):
        exporter.flush(timeout_s)
        exporter.close()
        exporter.say_loss()


def _watch_forks() -> None:
    global _watching_forks
    if not _watching_forks and hasattr(os, "register_at_fork"):
        _watching_forks = True
        os.register_at_fork(
            before=pause_all, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )


def pause_all() -> None:
    """Before a fork: no thread of ours is left."""
    for exporter in list(_running):
        exporter.pause()


def _after_in_parent() -> None:
    for exporter in list(_running):
        exporter.resume()


def _after_in_child() -> None:
    for exporter in _running:
        exporter.abandon()
    _running.clear()


def _unblock(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None and os.name == "posix":  # elsewhere the child reads at once, too
        os.set_blocking(process.stdin.fileno(), False)


def _has_room(descriptor: int) -> bool:
    """Wait a tick for room in the pipe."""
    if os.name != "posix":
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_WRITE)
        return bool(selector.select(_TICK_S))


def _close_quietly(process: subprocess.Popen[bytes]) -> None:
    try:
        if process.stdin is not None:
            process.stdin.close()
    except OSError:
        pass
