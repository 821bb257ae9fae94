"""What this interpreter's import system looks like inside.

The only file that knows private names of importlib. Everything here is found by looking, not by
version, and `missing()` says what was not found: patch releases differ (docs/observed.md).
Stdlib-free: `_frozen_importlib` and `_frozen_importlib_external` are in every interpreter.
"""

import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, FunctionType
    from typing import Any

_bootstrap: "Any" = sys.modules.get("_frozen_importlib")
_external: "Any" = sys.modules.get("_frozen_importlib_external")

# The namespaces whose frames belong to the import system itself.
BOOTSTRAP_GLOBALS: "dict[str, Any]" = vars(_bootstrap) if _bootstrap else {}
EXTERNAL_GLOBALS: "dict[str, Any]" = vars(_external) if _external else {}


def _code(owner: "Any", *path: str) -> "CodeType | None":
    for name in path:
        owner = getattr(owner, name, None)
    return getattr(owner, "__code__", None)


# Code objects by which a probe recognises its caller. None where this interpreter has no such function.
LOCK_MANAGER_ENTER = _code(_bootstrap, "_ModuleLockManager", "__enter__")
LOCK_UNLOCK = _code(_bootstrap, "_lock_unlock_module")
FIND_AND_LOAD = _code(_bootstrap, "_find_and_load")
FIND_AND_LOAD_UNLOCKED = _code(_bootstrap, "_find_and_load_unlocked")
FIND_SPEC = _code(_bootstrap, "_find_spec")
HANDLE_FROMLIST = _code(_bootstrap, "_handle_fromlist")
RESOLVE_PARENTS = _code(_bootstrap, "_resolve_parents")  # 3.15: parents before the child's lock
RELOAD = _code(_bootstrap, "_exec")
LOAD = _code(_bootstrap, "_load")

DeadlockError: "Any" = getattr(_bootstrap, "_DeadlockError", None)
ModuleLock: "Any" = getattr(_bootstrap, "_ModuleLock", None)

# Loaders of importlib whose way of running a body `_call_with_frames_removed` shows.
SOURCE_LOADER: "Any" = getattr(_external, "SourceFileLoader", None)
SOURCELESS_LOADER: "Any" = getattr(_external, "SourcelessFileLoader", None)
NO_BYTECODE_LOADERS: "frozenset[Any]" = frozenset(
    found
    for found in (
        getattr(_external, "ExtensionFileLoader", None),
        getattr(_external, "NamespaceLoader", None),
        getattr(_bootstrap, "BuiltinImporter", None),
        getattr(_bootstrap, "FrozenImporter", None),
    )
    if found is not None
)


def missing() -> list[str]:
    """The seams that the probes need and this interpreter does not have; empty: probes work."""
    if sys.implementation.name != "cpython":
        return [f"module locks of {sys.implementation.name}"]
    needed: dict[str, object] = {
        "_ModuleLock.acquire": getattr(ModuleLock, "acquire", None),
        "_ModuleLock.release": getattr(ModuleLock, "release", None),
        "_find_and_load": FIND_AND_LOAD,
        "_lock_unlock_module": LOCK_UNLOCK,
        "_call_with_frames_removed": _code(_bootstrap, "_call_with_frames_removed"),
        "_init_module_attrs": _code(_bootstrap, "_init_module_attrs"),
        "_DeadlockError": DeadlockError,
    }
    return [name for name, found in needed.items() if found is None]


def frames_to_importer() -> int:
    """How many frames lie between a lock's `acquire`, called for an import statement, and the statement."""
    managed = FIND_AND_LOAD is not None and "_ModuleLockManager" in FIND_AND_LOAD.co_names
    return 3 if managed else 2


def module_lock_target() -> "tuple[type, str, str]":
    """The class whose `acquire` and `release` the probes replace."""
    return ModuleLock, "acquire", "release"


def bootstrap_function(name: str) -> "Any":
    return BOOTSTRAP_GLOBALS[name]


def replace_bootstrap_function(name: str, function: object) -> None:
    setattr(_bootstrap, name, function)


# The function that hands out a module's lock, outside the global import lock, just before it is taken.
MODULE_LOCK_GETTER = "_get_module_lock"

# The code that runs the bodies of modules that were found as files: `get_code`, called by it, is a leaf.
FILE_BODY_RUNNER = _code(_external, "_LoaderBasics", "exec_module")


def file_loaders() -> "list[Any]":
    """The loader classes whose `get_code` gives `FILE_BODY_RUNNER` a body to run."""
    names = ("SourceLoader", "SourcelessFileLoader")
    return [loader for name in names if (loader := getattr(_external, name, None)) is not None]


def spec_finder() -> "Any":
    """A function (name, path) -> spec or None: asks the finders, imports no parent."""
    return BOOTSTRAP_GLOBALS["_find_spec"]


class _Entered:
    """`_blocking_on[ident] = lock`, where importlib has no manager for that (3.11)."""

    def __init__(self, ident: int, lock: "Any") -> None:
        self._ident, self._lock = ident, lock
        self._table = BOOTSTRAP_GLOBALS["_blocking_on"]

    def __enter__(self) -> None:
        self._table[self._ident] = self._lock

    def __exit__(self, *args: object) -> None:
        del self._table[self._ident]


def waiting_entry() -> "Any":
    """A context manager (ident, lock): meanwhile CPython's deadlock detector sees that thread wait for it."""
    return BOOTSTRAP_GLOBALS.get("_BlockingOnManager", _Entered)


def module_lock(name: str) -> "Any":
    """The lock of that module, None if nobody uses one now."""
    reference = getattr(_bootstrap, "_module_locks", {}).get(name)
    return reference() if reference is not None else None


def held_locks() -> list[tuple[str, int, object]]:
    """(module, ident of the holder, lock) of every module lock held now.

    For an `install()` in the middle of somebody's import.
    """
    held = []
    for reference in list(getattr(_bootstrap, "_module_locks", {}).values()):
        lock = reference()
        owner = getattr(lock, "owner", None)
        if owner is not None:
            held.append((lock.name, owner, lock))
    return held


def loads_on_stack(frame: "FrameType | None") -> list[str]:
    """The modules that `_find_and_load` is at work on in this stack, outermost first."""
    names = []
    while frame is not None:
        if frame.f_code is FIND_AND_LOAD:
            names.append(frame.f_locals["name"])
        frame = frame.f_back
    return names[::-1]


def stacks() -> "dict[int, FrameType]":
    """Each thread's innermost frame; only this thread's where asking would crash the interpreter.

    From 3.12 on `sys._current_frames()` also makes frame objects for the threads of other
    interpreters, in the memory of this one, and who frees them aborts (seen on 3.12.1 and 3.13.0,
    mended in 3.13.18).
    """
    if sys.version_info >= (3, 12) and sys.version_info < (3, 13, 18):
        alone = "_interpreters" not in sys.modules and "_xxsubinterpreters" not in sys.modules
        if not alone or not getattr(_thread, "_is_main_interpreter", bool)():
            return {_thread.get_ident(): sys._getframe(1)}
    return sys._current_frames()


# 3.13.0 counts the threads, to warn, after the hooks of a fork; other releases do so before them.
COUNTS_THREADS_AFTER_FORK_HOOKS = sys.version_info[:2] == (3, 13)

# Functions of importlib, by qualified name, in which a thread waits for the global import lock.
TAKERS_OF_THE_IMPORT_LOCK = ("_get_module_lock", "_ImportLockContext.__enter__")


def in_main_interpreter() -> bool:
    """Whether this is no sub-interpreter."""
    known = getattr(_thread, "_is_main_interpreter", None)
    if known is not None:
        return bool(known())
    # 3.11: a signal handler can be set by the main interpreter's main thread alone, which is told
    # before the number is looked at. Another thread is told the same, and there sits in `threading`.
    signals: Any = sys.modules.get("_signal")
    if signals is None:
        return False  # a main interpreter always has it
    try:
        signals.signal(0, None)
    except (ValueError, TypeError) as error:
        if "main thread" not in str(error):
            return True
    main = getattr(sys.modules.get("threading"), "_main_thread", None)
    if main is None:
        return _thread._count() > 0
    return getattr(main, "_ident", None) != _thread.get_ident()


def lock_depth(lock: "Any") -> int:
    """How many times its owner has taken this lock."""
    count = lock.count
    return count if isinstance(count, int) else len(count)


def blocked_threads() -> list[tuple[int, str, int | None]]:
    """(ident, module, ident of the holder) of every thread that is taking a module lock now.

    Read from the table of CPython's own deadlock detector, so that it is exactly what it saw.
    """
    table = getattr(_bootstrap, "_blocking_on", None)
    if table is None:
        return []
    if not isinstance(table, dict):  # 3.12: weak values, each a list of locks
        table = {key: value() for key, value in table.data.copy().items()}
    found = []
    # A pair of `items()` is a tuple, which may start the garbage collector, which runs Python code
    for ident, blocked in table.copy().items():
        for lock in blocked if isinstance(blocked, list) else [blocked]:
            if lock is not None:
                found.append((ident, lock.name, lock.owner))
    return found


def thread_starter(threading: "Any") -> str | None:
    """The global of `threading` by which `Thread.start` starts a thread."""
    for name in ("_start_joinable_thread", "_start_new_thread"):
        if hasattr(threading, name):
            return name
    return None


def stand_in(function: "Any", original: "Any") -> "FunctionType":
    """`function` as the import system's own: same name, file, globals' owner and line in a traceback.

    It takes the frame of `original`, so nothing that looks at the stack can tell them apart. import.c
    strips importlib's frames from tracebacks by file and function name; tracebacks that it does not
    strip show the one line at which `original` calls on.
    """
    old = original.__code__
    last = max(line or 0 for _, _, line in old.co_lines())
    code = function.__code__.replace(
        co_filename=old.co_filename,
        co_name=old.co_name,
        co_qualname=old.co_qualname,
        co_firstlineno=old.co_firstlineno,
        co_linetable=_one_line(len(function.__code__.co_code) // 2, last - old.co_firstlineno),
    )
    make: Callable[..., FunctionType] = type(function)
    twin = make(
        code, original.__globals__, old.co_name, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__module__ = original.__module__
    twin.__qualname__ = original.__qualname__
    twin.__doc__ = original.__doc__
    return twin


def _one_line(units: int, delta: int) -> bytes:
    """A location table (Objects/locations.md, 3.11+) that puts all code units on one line."""
    value = delta << 1 if delta >= 0 else (-delta << 1) | 1
    table = bytearray([_LINE_ONLY | (units % 8 or 8) - 1])
    while value >= 64:
        table.append(64 | (value & 63))
        value >>= 6
    table.append(value)
    # the rest, eight units each, on the same line
    return bytes(table) + bytes([_LINE_ONLY | 7, 0]) * ((units - 1) // 8)


_LINE_ONLY = 0x80 | (13 << 3)


def start_deaf(start: "Callable[[], object]") -> bool:
    """Call `start`, which starts a thread of ours, with all signals blocked: the thread has them blocked
    from its first moment on. False: there is no thread to be had, or the interpreter is shutting down.

    A signal that the program's threads block is delivered to one that does not: `sigwait` would never
    see it, and its default action would end the process.
    """
    signals: Any = sys.modules.get("_signal")
    mask = getattr(signals, "pthread_sigmask", None)
    before = every = None
    if mask is not None:
        every = signals.valid_signals()
        # Handlers run at the end of each of these calls, and may raise: what was blocked is known
        # before it is changed.
        before = mask(signals.SIG_BLOCK, ())
    try:
        if mask is not None:
            mask(signals.SIG_SETMASK, every)
        start()
    except RuntimeError:
        return False
    finally:
        if mask is not None:
            mask(signals.SIG_SETMASK, before)
    return True
