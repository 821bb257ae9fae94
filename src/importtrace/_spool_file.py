"""One spool file on disk: created, mapped, grown ahead of what is written, marked as finished.

Stdlib-free but for `mmap` and `fcntl`.
"""

import mmap
import sys
from time import time_ns

from importtrace import _spool_folder as folders
from importtrace import _spool_format as layout
from importtrace._spool_text import to_json

try:
    import fcntl
except ImportError:  # Windows, or built without it: `_lock` does without, too
    fcntl = None  # type: ignore[assignment]  # to mypy, the name is the module's

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_posix: "Any" = sys.modules.get("posix")

FIRST = 1 << 20  # bytes allocated at once; doubled when they are used up
LEAST = 2 * layout.SEGMENT


class File:
    """`map` is writable up to what `segment()` has handed out; beyond, a store would be SIGBUS.

    Raises Refused or OSError. Offsets of segments are never 0: the first has the head before it.
    """

    def __init__(
        self, folder: str, bounds: "tuple[int, int, int]", facts: "dict[str, Any]"
    ) -> None:
        if _posix is None:
            raise folders.Refused(f"{sys.platform} has no POSIX files; use IMPORTTRACE_FILE there")
        most, most_files, most_bytes = bounds
        most = min(most, layout.MOST_BYTES)
        self.full_because = f"it has reached {most >> 20} MiB (IMPORTTRACE_SPOOL_FILE_MB)"
        self._lost = 0
        now = time_ns()
        pid = facts["pid"]
        if not folder.startswith("/"):
            folder = f"{_posix.getcwd()}/{folder}"
        descriptor = folders.open_folder(folder)
        try:
            folders.rotate(descriptor, most_files - 1, most_bytes, now / 1e9)
            self._fd, self.name = folders.create(descriptor, now, pid)
            self.path = f"{folder}/{self.name}"
            try:
                self._allocate_first(most)
                self._write_head(pid, facts)
            except BaseException:
                _posix.close(self._fd)
                _posix.unlink(self.name, dir_fd=descriptor)
                raise
        finally:
            _posix.close(descriptor)
        segments = self._size >> layout.SHIFT
        self._free = list(range(segments - 1, 1, -1))  # list.pop() hands them out, atomically
        self.first = layout.PAGE
        self.reserve = layout.SEGMENT

    def _allocate_first(self, most: int) -> None:
        size = most
        while True:  # RLIMIT_FSIZE and RLIMIT_AS may allow less
            try:
                _posix.ftruncate(self._fd, size)
                self.map = mmap.mmap(self._fd, size)
                break
            except (OSError, ValueError, MemoryError, OverflowError):
                size >>= 1
                if size < LEAST:
                    raise
        # Mapped as large as it may become; the file itself is as large as what is allocated.
        _posix.ftruncate(self._fd, 0)
        self._size = size
        found = _posix.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino
        self._allocated = 0
        try:
            self._allocate(min(FIRST, size))
        except OSError:
            self._allocate(LEAST)

    def _allocate(self, size: int) -> None:
        """Blocks for the first `size` bytes; raises OSError, and the file is as before."""
        fd, opened = self._descriptor()
        try:
            try:
                _posix.posix_fallocate(fd, self._allocated, size - self._allocated)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in (22, 38, 45, 95):
                    raise
                # not on this platform or file system: zeros, really written
                zeros = bytes(layout.SEGMENT)
                for at in range(self._allocated, size, layout.SEGMENT):
                    if _posix.pwrite(fd, zeros, at) != len(zeros):
                        raise OSError(28, "No space left on device") from None
            if _posix.fstat(fd).st_size < size:
                raise OSError(28, "the file did not grow")
        finally:
            if opened:
                _posix.close(fd)
        self._allocated = max(self._allocated, size)

    def _descriptor(self) -> "tuple[int, bool]":
        """The file's descriptor, and whether the caller has to close it.

        A program that becomes a daemon closes descriptors it does not know, and may have given the
        number to a file of its own since.
        """
        try:
            found = _posix.fstat(self._fd)
            if (found.st_dev, found.st_ino) == self._identity:
                return self._fd, False
        except OSError:
            pass
        fd = _posix.open(self.path, _posix.O_RDWR | _posix.O_NOFOLLOW | _posix.O_CLOEXEC)
        found = _posix.fstat(fd)
        if (found.st_dev, found.st_ino) != self._identity:
            _posix.close(fd)
            raise OSError(2, "the file is gone")
        return fd, True

    def _write_head(self, pid: int, facts: "dict[str, Any]") -> None:
        memory = self.map

        def store(at: int, number: int, size: int = 8) -> None:
            memory[at : at + size] = number.to_bytes(size, "little")

        def put(at: int, data: bytes) -> None:
            memory[at : at + len(data)] = data

        store(layout.AT_VERSION, layout.VERSION, 4)
        store(layout.AT_LOCKED, self._lock(), 1)
        store(layout.AT_PID, pid)
        store(layout.AT_BORN, folders.birth())
        store(layout.AT_PID_SPACE, folders.pid_space())
        put(layout.AT_BOOT, folders.boot_id().encode())
        put(layout.AT_NAME, self.name.encode())
        text = to_json(facts).encode("utf-8", "surrogatepass")
        if len(text) > layout.MOST_FACTS:
            text = to_json({**facts, "argv0": ""}).encode("utf-8", "surrogatepass")
        put(layout.AT_FACTS + 4, text)
        store(layout.AT_FACTS, len(text), 4)
        put(0, layout.MAGIC)  # last: without it there is no spool file

    def _lock(self) -> int:
        """A shared lock, by which others see from another container that we live."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (AttributeError, OSError):
            return 0
        return 1

    def segment(self) -> int:
        """The offset of a segment that may be written; 0: the file is full, see `full_because`."""
        number = take(self._free)
        if not number:
            return 0
        end = (number + 1) << layout.SHIFT
        while end > self._allocated:
            try:
                self._allocate(min(self._size, max(end, 2 * self._allocated)))
            except OSError as error:
                try:
                    self._allocate(end)  # what is left may do for this one
                except OSError:
                    self._free.clear()
                    self.full_because = f"it cannot grow: {error.strerror}"
                    return 0
        return number << layout.SHIFT

    def lose(self) -> None:
        """Count one record that did not fit."""
        self._lost += 1
        self.map[layout.AT_LOST : layout.AT_LOST + 8] = self._lost.to_bytes(8, "little")

    def mark_full(self, at: int) -> None:
        self.map[layout.AT_FULL_AT : layout.AT_FULL_AT + 8] = at.to_bytes(8, "little")
        self.map[layout.AT_FULL] = 1

    def mark_ends_lost(self) -> None:
        self.map[layout.AT_FULL] = 2

    def finish(self) -> None:
        self.map[layout.AT_STATE] = 1

    def abandon(self) -> None:
        """In a forked child. The mapping stays: it would close a descriptor number that may be the
        program's by now."""
        _abandoned.append(self)
        try:
            found = _posix.fstat(self._fd)
            if (found.st_dev, found.st_ino) == self._identity:
                _posix.close(self._fd)
        except OSError:
            pass


_abandoned: "list[File]" = []


def take(numbers: list[int]) -> int:
    """The last one; 0 if there is none. Atomic, in threads and in signal handlers."""
    try:
        return numbers.pop()
    except IndexError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # a signal handler's
        return 0
