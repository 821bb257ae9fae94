"""In the child: what the kernel says of a thread of this process. Linux; elsewhere nothing is known.

`look` costs about 20 us, so it is asked only of a thread that has been silent for a while.
"""

import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_posix: "Any" = sys.modules.get("posix")
_FUTEX = {"x86_64": "202", "aarch64": "98", "riscv64": "98", "i686": "240", "armv7l": "240"}
_futex = _FUTEX.get(_posix.uname().machine) if _posix is not None else None


def native_id() -> int:
    return _thread.get_native_id()


def _read(path: str) -> bytes:
    try:
        file = _posix.open(path, _posix.O_RDONLY)
    except (OSError, AttributeError):
        return b""
    try:
        data: bytes = _posix.read(file, 4096)
        return data
    except OSError:
        return b""
    finally:
        _posix.close(file)


def look(nid: int) -> tuple[bool, int]:
    """(asleep, how many times it went to sleep of its own accord): the same number twice, and asleep
    both times, is one long sleep. (False, -1) where nothing is known."""
    status = _read(f"/proc/self/task/{nid}/status")
    asleep, moved = False, -1
    for line in status.split(b"\n"):
        if line.startswith(b"State:"):
            asleep = line.split()[1] == b"S"
        elif line.startswith(b"voluntary_ctxt_switches:"):
            moved = int(line.split()[1])
    return asleep, moved


def for_ever(nid: int) -> bool:
    """It sleeps on a lock, without a limit of time. False where that is not known."""
    words = _read(f"/proc/self/task/{nid}/syscall").decode().split()
    return len(words) > 4 and words[0] == _futex and int(words[4], 16) == 0


def held_back() -> float:
    """Seconds that threads of this process were ready to run while others had the processors. 0.0 where
    that is not known."""
    total = 0
    for nid in others(0):
        words = _read(f"/proc/self/task/{nid}/schedstat").split()
        if len(words) == 3:
            total += int(words[1])
    return total / 1e9


def beat(file: int) -> None:
    try:
        _posix.write(file, b".")
    except OSError:
        pass


def written(file: int) -> bool:
    """There is something in that file."""
    try:
        return bool(_posix.fstat(file).st_size)
    except OSError:
        return False


def others(nid: int) -> list[int]:
    """All threads of this process but that one."""
    try:
        return [found for found in map(int, _posix.listdir("/proc/self/task")) if found != nid]
    except (OSError, AttributeError):
        return []
