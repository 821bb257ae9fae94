"""The warm parent: an interpreter that has loaded this package's child files, and forks a child per job.

Started as `python -c BOOT`; see `runner`. Jobs come in on one pipe, length first; for each, two records go
out on another: the child's pid when it begins, its wait status when it has ended. One job may also be done
without a fork (`once`), which is the confirmation that the fork had no part in a failure.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has only `signal`
import marshal
import sys

from importtrace import _facts, _failures, session
from importtrace.race import _child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_posix: "Any" = sys.modules["posix"]
_used = (_facts, _failures, session)  # loaded here, so that explaining imports nothing in a child
_alarm_s = 5
_look_round_s = 2  # how often it is seen whether the controlling process is still there


def serve(requests: int, replies: int, file: int, crashes: int, once: int) -> None:
    """Until the other end is closed."""
    import faulthandler

    faulthandler.enable(crashes, all_threads=True)
    faulthandler.register(_signal.SIGUSR1, crashes, all_threads=True)
    sys.argv[:] = [""]
    _settle_memory()
    _send(replies, ("ready", sys.version.partition(" ")[0]))
    _posix.dup2(1, 2)  # what the target says is not for the terminal
    child = 0
    parent = _posix.getppid()

    def look_round(number: int, frame: object) -> None:
        # The controlling process kills what takes too long; here only if it is gone itself.
        if _posix.getppid() != parent:
            if child:
                _kill(child)
            _posix._exit(1)
        _signal.alarm(_look_round_s)

    _signal.signal(_signal.SIGALRM, look_round)
    while True:
        job = _read(requests)
        if job is None:
            return
        if once:
            _posix.close(requests)
            _send(replies, ("began", _posix.getpid()))
            _posix.close(replies)
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
            _signal.alarm(int(12 * job["limit"]) + _alarm_s)  # if nobody is there to end it
            _child.run(job, file, crashes)
        _posix.ftruncate(file, 0)
        _posix.lseek(file, 0, 0)
        _posix.ftruncate(crashes, 0)
        _posix.lseek(crashes, 0, 0)
        _signal.alarm(_look_round_s)
        child = _posix.fork()
        if not child:
            _posix.setsid()
            _posix.close(requests)
            _posix.close(replies)
            _signal.alarm(0)
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            _child.run(job, file, crashes)
        _send(replies, ("began", child))
        _posix.waitid(_posix.P_PID, child, _posix.WEXITED | _posix.WNOWAIT)
        _kill(child)  # what it started and left behind
        status = _posix.waitpid(child, 0)[1]
        child = 0
        _signal.alarm(0)
        _send(replies, ("ended", status))


def _settle_memory() -> None:
    """A collection in a child would touch, and so copy, every page that it shares with this process."""
    import gc

    gc.collect()
    gc.freeze()
    del sys.modules["gc"]


def _kill(child: int) -> None:
    for kill in (_posix.killpg, _posix.kill):
        try:
            kill(child, 9)
        except OSError:
            pass


def _read(file: int) -> "Any":
    head = _exactly(file, 4)
    if len(head) < 4:
        return None
    return marshal.loads(_exactly(file, int.from_bytes(head, "little")))


def _exactly(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = _posix.read(file, size - len(data))
        if not part:
            break
        data += part
    return data


def _send(file: int, value: "Any") -> None:
    data = marshal.dumps(value)
    data = len(data).to_bytes(4, "little") + data
    while data:
        data = data[_posix.write(file, data) :]
