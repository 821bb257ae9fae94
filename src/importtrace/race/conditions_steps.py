"""In the child: what makes it another environment (`conditions`). Set-up steps, called as `scenario.SetUp`
says, before anything of the target is imported; no standard library beyond what an interpreter has loaded.
"""

import sys
from time import sleep

from importtrace import _compat
from importtrace.race import _steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_posix: "Any" = sys.modules["posix"]
_NOWHERE = "/dev/null/importtrace"  # a path that can neither be read nor made
_EROFS = 30
_WRITES = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr",
)  # fmt: skip


class CannotApply(Exception):
    """The condition cannot be had in this interpreter."""


class WorkersFailed(Exception):
    """One or more of the workers did not come up."""


def cold() -> None:
    """No bytecode is found, and none is written: as on the first start of a fresh image."""
    sys.pycache_prefix = _NOWHERE
    sys.dont_write_bytecode = True


def slow_fs(ms: float, jitter_ms: float, seed: int) -> None:
    """Each search in a folder, and each file that is read, takes `ms` longer, and up to `jitter_ms` more."""
    state = [seed & 0xFFFFFFFF or 1]

    def delay() -> None:
        # xorshift: importing `random` here would hide it from the target
        value = state[0]
        value ^= value << 13 & 0xFFFFFFFF
        value ^= value >> 17
        value ^= value << 5 & 0xFFFFFFFF
        state[0] = value
        sleep((ms + jitter_ms * (value / 0xFFFFFFFF)) / 1000)

    external = _compat.EXTERNAL_GLOBALS
    for owner, name in (
        (external["FileFinder"], "find_spec"),
        (external["FileLoader"], "get_data"),
    ):
        setattr(owner, name, _delayed(getattr(owner, name), delay))


def _delayed(original: "Any", delay: "Callable[[], None]") -> "Any":
    def delayed(*args: "Any") -> "Any":
        delay()
        try:
            return original(*args)
        except BaseException as error:
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise

    made: Any = delayed
    return _compat.stand_in(made, original)


def cpu(count: int) -> None:
    """Runs on so many of the CPUs that this process may use."""
    try:
        allowed = sorted(_posix.sched_getaffinity(0))
        _posix.sched_setaffinity(0, allowed[:count])
    except (AttributeError, OSError) as error:
        raise CannotApply(f"CPUs cannot be chosen here: {error}") from None


def memory(size: int) -> None:
    """So many bytes of address space, for all of the process: allocations beyond fail."""
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ValueError, OSError) as error:
        raise CannotApply(f"the limit on memory is refused: {error}") from None
    finally:
        del sys.modules["resource"]  # the target's own import of it is seen


def read_only() -> None:
    """Python code can write no file and make no folder (EROFS), but for devices. No bytecode is written."""

    def refuse(event: str, args: "tuple[Any, ...]") -> None:
        if event == "open":
            path, mode, flags = args
            if not _opens_for_writing(mode, flags):
                return
        elif event in _WRITES:
            path = args[0]
        else:
            return
        if type(path) is int:
            return  # what is open is open
        name = path.decode("utf-8", "replace") if type(path) is bytes else str(path)
        if not name.startswith(("/dev/", "/proc/")):
            raise OSError(_EROFS, "Read-only file system", name)

    sys.addaudithook(refuse)


def _opens_for_writing(mode: "Any", flags: "Any") -> bool:
    if type(flags) is int:
        wanted: int = _posix.O_WRONLY | _posix.O_RDWR | _posix.O_CREAT | _posix.O_TRUNC
        return bool(flags & wanted)
    return type(mode) is str and any(char in mode for char in "wax+")


def path_order() -> None:
    """The entries of `sys.path` that are not the standard library's, the other way round."""
    library = str(getattr(sys.modules.get("os"), "__file__", "")).rpartition("/")[0]
    kept = (library, f"{library}/lib-dynload")
    places = [
        number
        for number, entry in enumerate(sys.path)
        if type(entry) is str and entry not in kept and not entry.endswith(".zip")
    ]
    entries = [sys.path[number] for number in places]
    for number, entry in zip(places, reversed(entries), strict=True):
        sys.path[number] = entry


def hide(name: str) -> None:
    """As if not installed: no finder finds this module, nor one below it."""
    if name in sys.modules:
        raise CannotApply(f"{name!r} cannot be hidden, the interpreter itself has loaded it")
    below = name + "."

    def hidden(original: "Any") -> "Any":
        def find_spec(fullname: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            if type(fullname) is str and (fullname == name or fullname.startswith(below)):
                return None
            return original(fullname, *args, **kwargs)

        return find_spec

    for finder in sys.meta_path:
        original = getattr(finder, "find_spec", None)
        if original is not None:
            found = hidden(original)
            # a class among them is asked as it is, an instance as its attribute
            target: Any = finder
            target.find_spec = staticmethod(found) if isinstance(finder, type) else found


def workers(count: int, preload: bool, entries: "list[tuple[str, str | None]]") -> None:
    """Forks so many processes, which import the entries at the same time, as a server's workers do.

    `preload`: this process imports them first. Raises WorkersFailed with the first failure and their count.
    """
    if preload:
        _import(entries)
    pipes: dict[int, int] = {}
    for _ in range(count):
        reader, writer = _posix.pipe()
        child = _posix.fork()
        if not child:
            _posix.close(reader)
            said = b""
            try:
                _import(entries)
            except BaseException as error:
                said = f"{type(error).__qualname__}: {error}".encode("utf-8", "replace")[:2000]
            _posix.write(writer, b"\0" + said)
            _posix._exit(0)
        _posix.close(writer)
        pipes[child] = reader
    failed = []
    for child, reader in pipes.items():
        said = b""
        while data := _posix.read(reader, 4096):
            said += data
        _posix.close(reader)
        status = _posix.waitpid(child, 0)[1]
        if not said:
            failed.append(f"it ended with status {_posix.waitstatus_to_exitcode(status)}")
        elif said != b"\0":
            failed.append(said[1:].decode("utf-8", "replace"))
    if failed:
        raise WorkersFailed(f"{len(failed)} of {count} workers: {failed[0]}")


def _import(entries: "list[tuple[str, str | None]]") -> None:
    for module, name in entries:
        _steps.import_entry(module, name)


class Free:
    """A plan (see `_plans`): all threads at once, and nobody stops them."""

    diverged = None

    def __call__(
        self, control: "Any", current: int, kind: str, module: str, nth: int, runnable: list[int]
    ) -> int:
        if kind == "start":
            control.verdict = "free"
            for thread in control.threads:
                if thread.index != 1:
                    thread.state = "running"
                    thread.gate.release()
            return 1
        return 0
