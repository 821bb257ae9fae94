"""Delivers from a child process where this one must not import what a delivery needs (``_shadowing``).

The child (``aside_child``) gets the trace by a pipe and does all of it: file, log, spans. What goes to the log
comes back, since the log is this process's stderr, whatever that is. Needs nothing of the standard library but
``os``, here only built-in modules; not on Windows, where those start no process.
"""

import marshal
import os
import sys
import time

from importtrace.exporters import interpreter
from importtrace.exporters.propagation import as_given

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from importtrace.config import Config

# For the child's start and its work besides sending, on a machine that has much else to do.
GRACE_S = 10.0
_TICK_S = 0.002
_CHUNK = 1 << 16
_BOOT = (
    "import marshal, sys; "
    "given = marshal.load(sys.stdin.buffer); "
    "sys.path += [p for p in given['path'] if p not in sys.path]; "
    "from importtrace.exporters.aside_child import main; main(given)"
)


class AsideError(Exception):
    """The child could not do it; the text says why."""


def deliver(trace: "Any", config: "Config", told: "set[tuple[Any, ...]]", *, first: bool) -> None:
    """Have a ``_snapshot.Plain`` delivered, and add to ``told`` what was logged; raises AsideError.

    Takes the start of a process, and up to ``config.export_timeout_s`` where spans are sent.
    """
    settings = {name: getattr(config, name) for name in config.__slots__}
    answer = _ask(_order(trace, settings, told, first), config.export_timeout_s + GRACE_S)
    told.update(answer["told"])
    _say(answer["said"])


def write(trace: "Any", path: str, config: "Config") -> None:
    """Have the trace file written, and nothing else done; raises AsideError."""
    settings = {name: getattr(config, name) for name in config.__slots__}
    settings.update(file=path, log="off", spans="off")
    _say(_ask(_order(trace, settings, set(), first=False), GRACE_S)["said"])


def _order(
    trace: "Any", settings: "dict[str, Any]", told: "set[tuple[Any, ...]]", first: bool
) -> bytes:
    order = {
        "path": interpreter.search_path(),
        "header": trace.header,
        "records": trace.records,
        "config": settings,
        "told": told,
        "first": first,
    }
    try:
        return marshal.dumps(order)
    except ValueError:  # a subclass of str, for instance: a module may be called anything
        return marshal.dumps(_exact(order))


def _say(text: str) -> None:
    stream = sys.stderr or sys.__stderr__
    if stream is not None and text:
        stream.write(text)
        stream.flush()


def _exact(value: "Any") -> "Any":
    if isinstance(value, dict):
        return {_exact(key): _exact(item) for key, item in value.items()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(_exact(item) for item in value)
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    return int(value) if isinstance(value, int) else "".join(str(value))


def _ask(order: bytes, limit_s: float) -> "dict[str, Any]":
    python = interpreter.find()
    if python is None or not hasattr(os, "posix_spawn"):
        raise AsideError("no Python interpreter could be started to do it")
    until = time.monotonic() + limit_s
    to_child, ours_to_child = os.pipe()
    from_child, childs_out = os.pipe()
    pid = 0
    try:
        try:
            pid = _start(python, to_child, childs_out)
        except OSError as error:
            raise AsideError(f"cannot start {python!r}: {error.strerror or error}") from error
        finally:
            os.close(to_child)
            os.close(childs_out)
        data = _talk(ours_to_child, from_child, order, until)
    finally:
        for descriptor in (ours_to_child, from_child):
            os.close(descriptor)
        if pid:
            _reap(pid, until)
    try:
        answer: dict[str, Any] = marshal.loads(data)
    except (EOFError, ValueError, TypeError) as error:
        raise AsideError("the process that was to do it ended early") from error
    return answer


def _start(python: str, stdin: int, stdout: int) -> int:
    arguments = [python, *interpreter.FLAGS, *(["-B"] if sys.dont_write_bytecode else [])]
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)]
    # a group of its own: Ctrl-C is for the program
    return os.posix_spawn(
        python,
        [*arguments, "-c", _BOOT],
        interpreter.environment(as_given(os.environ)),
        file_actions=actions,
        setpgroup=0,
    )


def _talk(writer: int, reader: int, order: bytes, until: float) -> bytes:
    """Feed the child and take its answer. By turns, without ``select``, which may be the user's file."""
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    rest = memoryview(
        order + b"\0"
    )  # a byte that nobody reads: the pipe is open as long as it is needed
    taken = bytearray()
    while time.monotonic() < until:
        moved = False
        if rest:
            try:
                rest = rest[os.write(writer, rest[:_CHUNK]) :]
                moved = True
            except BlockingIOError:
                pass
            except OSError:  # it is gone; its answer is missing
                rest = rest[:0]
        try:
            chunk = os.read(reader, _CHUNK)
        except BlockingIOError:
            chunk = None
        if chunk == b"":
            return bytes(taken)
        if chunk:
            taken += chunk
        elif not moved:
            time.sleep(_TICK_S)
    raise AsideError("the process that was to do it did not end in time")


def _reap(pid: int, until: float) -> None:
    """Wait for it, it has answered; else end it. A server may have reaped it as one of its workers."""
    try:
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                return
            time.sleep(_TICK_S)
    except OSError:
        pass
