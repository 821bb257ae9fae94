"""The folder of spool files: who may own it, what its files are called, which of them may go.

Stdlib-free, since it runs at install(); POSIX only.
"""

import sys

from importtrace._spool_format import (
    AT_BOOT,
    AT_BORN,
    AT_LOCKED,
    AT_NAME,
    AT_PID,
    AT_PID_SPACE,
    AT_STATE,
    MAGIC,
    PAGE,
    SUFFIX,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_posix: "Any" = sys.modules.get("posix")

_BUSY = (11, 13, 35)  # EAGAIN (Linux, macOS), EACCES: another process holds the lock
_UNTOUCHED_S = 3600


class Refused(Exception):
    """Why there is no spool: one line, what to do about it included."""


def open_folder(path: str) -> int:
    """A descriptor of the folder, made if need be; raises Refused. Nobody else may write in it."""
    path = path.rstrip("/") or "/"  # a trailing slash would follow a symbolic link
    try:
        try:
            _posix.mkdir(path, 0o700)
        except FileExistsError:
            pass
        flags = _posix.O_RDONLY | _posix.O_DIRECTORY | _posix.O_NOFOLLOW | _posix.O_CLOEXEC
        folder: int = _posix.open(path, flags)
    except OSError as error:
        if _is_link(path):
            raise Refused(f"{path!r} is a symbolic link; name the folder itself") from None
        raise Refused(f"{path!r}: {error.strerror}; name a folder that can be written") from None
    found = _posix.fstat(folder)
    me = _posix.geteuid()
    if found.st_uid != me:
        _posix.close(folder)
        raise Refused(f"{path!r} belongs to user {found.st_uid}, not {me}; name a folder in it")
    if found.st_mode & 0o022:
        _posix.close(folder)
        raise Refused(
            f"others may write in {path!r} (mode {found.st_mode & 0o7777:o}); "
            "name a folder in it, or chmod it to 700"
        )
    return folder


def _is_link(path: str) -> bool:
    try:
        return bool(_posix.lstat(path).st_mode & 0o170000 == 0o120000)
    except OSError:
        return False


def create(folder: int, start_ns: int, pid: int) -> "tuple[int, str]":
    """A new file, open, and its name: by time, so that names sort by age."""
    flags = _posix.O_RDWR | _posix.O_CREAT | _posix.O_EXCL | _posix.O_NOFOLLOW | _posix.O_CLOEXEC
    for attempt in range(100):  # containers that share a folder may share a pid
        name = f"{start_ns // 1_000_000 + attempt}-{pid}{SUFFIX}"
        try:
            fd: int = _posix.open(name, flags, 0o600, dir_fd=folder)
        except FileExistsError:
            continue
        _posix.fchmod(fd, 0o600)  # whatever the umask
        return fd, name
    raise FileExistsError(17, "no free file name")


def names(folder: "int | str") -> list[str]:
    """Spool files in a folder, oldest first, by their names."""
    found = []
    for name in _posix.listdir(folder):
        time, _, pid = name.removesuffix(SUFFIX).partition("-")
        if name.endswith(SUFFIX) and time.isdigit() and pid.isdigit():
            found.append((int(time), int(pid), name))
    found.sort()
    return [name for _, _, name in found]


def rotate(folder: int, most_files: int, most_bytes: int, now_s: float) -> None:
    """Remove the oldest files over either bound, never one of a process that lives."""
    files = names(folder)
    sizes = {}
    for name in files:
        try:
            sizes[name] = _posix.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
        except OSError:
            sizes[name] = 0
    count, total = len(files), sum(sizes.values())
    for name in files:
        if count <= most_files and total <= most_bytes:
            break
        try:
            if not _may_go(folder, name, now_s):
                continue
            _posix.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            pass  # another process rotates, too
        except OSError:
            continue
        count -= 1
        total -= sizes[name]


def _may_go(folder: int, name: str, now_s: float) -> bool:
    flags = _posix.O_RDONLY | _posix.O_NOFOLLOW | _posix.O_CLOEXEC | _posix.O_NONBLOCK
    fd = _posix.open(name, flags, dir_fd=folder)
    try:
        found = _posix.fstat(fd)
        if found.st_mode & 0o170000 != 0o100000:
            return False
        head = _posix.pread(fd, PAGE, 0)
        old = now_s - found.st_mtime > _UNTOUCHED_S
        if not head.startswith(MAGIC):
            # another program's; or one of ours is about to write its head, or was killed there
            return old and not head.strip(b"\0")
        state = process_state(fd, head)
        return state in ("finished", "died") or (state == "unknown" and old)
    finally:
        _posix.close(fd)


# does its process live? --------------------------------------------------------------------


def number(head: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(head[at : at + size], "little")


def text(head: bytes, at: int, size: int) -> str:
    return head[at : at + size].rstrip(b"\0").decode("ascii", "replace")


def process_state(fd: int, head: bytes) -> str:
    """`finished`, `running`, `died` or `unknown` of the process whose file this is (spool/__init__.py)."""
    if head[AT_STATE] == 1:
        return "finished"
    boot, space = text(head, AT_BOOT, 36), number(head, AT_PID_SPACE)
    if boot and space and boot == boot_id() and space == pid_space():
        return "running" if _is_traced(head) else "died"
    if head[AT_LOCKED]:
        held = _is_locked(fd)
        if held is not None and (held or boot == boot_id()):
            return "running" if held else "died"
    if not boot and number(head, AT_PID):  # no /proc where it was written: macOS and its like
        try:
            _posix.kill(number(head, AT_PID), 0)
        except ProcessLookupError:
            return "died"
        except (OSError, OverflowError):
            pass
    return "unknown"


def _is_traced(head: bytes) -> bool:
    """Whether the process still has this file mapped. By the pid alone, one that became another
    program by exec would seem to go on writing."""
    pid, name = number(head, AT_PID), text(head, AT_NAME, 48)
    try:
        return f"/{name}".encode() in _content(f"/proc/{pid}/maps")
    except PermissionError:  # a process that may not be looked into
        born = number(head, AT_BORN)
        return born != 0 and born == birth(str(pid))
    except OSError:
        return False


def _is_locked(fd: int) -> bool | None:
    """Whether somebody holds the shared lock; None where that cannot be told."""
    try:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError as error:
        return True if error.errno in _BUSY else None
    except ImportError:
        return None
    return False


def birth(pid: str = "self") -> int:
    """When a process started, in clock ticks since boot; 0: not known."""
    try:
        return int(_content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def boot_id() -> str:
    try:
        return _content("/proc/sys/kernel/random/boot_id")[:36].decode("ascii", "replace")
    except OSError:
        return ""


def pid_space() -> int:
    try:
        return int(_posix.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return 0


def _content(path: str) -> bytes:
    fd = _posix.open(path, _posix.O_RDONLY | _posix.O_CLOEXEC)
    try:
        parts = []
        while part := _posix.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        _posix.close(fd)
