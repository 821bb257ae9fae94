"""For the tests of your own project: imports in fresh interpreters, and imports that must be safe.

    from importtrace.testing import assert_import_safe, run_fresh

    def test_any_module_can_be_imported_first():
        assert_import_safe("mypackage")

    def test_start_up_stays_light():
        done = run_fresh("import mypackage").check()
        assert "pandas" not in done.modules

docs/testing.md shows all of it, and the pytest fixtures and marker that use it.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from importtrace.race import Report

__all__ = [
    "FreshInterpreter",
    "FreshResult",
    "assert_import_safe",
    "import_fresh",
    "restored_modules",
    "run_fresh",
]

# Runs in the child and imports nothing. The program's traceback holds no frame of it.
_CHILD = r"""
def _importtrace_run(sys):
    main = vars(sys.modules["__main__"])
    del main["_importtrace_run"]
    program, report = sys.argv[1:3]
    sys.argv[:] = [program, *sys.argv[3:]]
    with open(program, encoding="utf-8") as file:
        text = file.read()
    known = set(sys.modules)
    try:
        exec(compile(text, program, "exec"), main)
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)
    finally:
        with open(report, "w", encoding="utf-8") as out:
            out.write("\n".join(name for name in list(sys.modules) if name not in known))
_importtrace_run(__import__("sys"))
"""

_LAST_WORDS_S = 5.0  # for the tracebacks of a program that is stopped


@dataclass(frozen=True, slots=True)
class FreshResult:
    """Of one program in an interpreter of its own.

    stdout, stderr  what it wrote; after a time-out, stderr ends with the stack of each of its threads
    status          exit status; negative: the signal that ended it; None: stopped after ``timeout_s``
    modules         what it imported, in this order; None where the program did not come to its end
                    (``os._exit``, a signal, the time-out)
    """

    stdout: str
    stderr: str
    status: int | None
    modules: tuple[str, ...] | None

    @property
    def ok(self) -> bool:
        """It ended by itself, with status 0."""
        return self.status == 0

    def check(self) -> FreshResult:
        """Itself if it is ok; else AssertionError with what the program wrote to stderr."""
        __tracebackhide__ = True
        if self.ok:
            return self
        if self.status is None:
            how = "did not end in time and was stopped"
        elif self.status < 0:
            how = f"was ended by signal {-self.status}"
        else:
            how = f"ended with status {self.status}"
        said = self.stderr.strip()
        raise AssertionError(f"the fresh interpreter {how}" + (f":\n{said}" if said else ""))


@dataclass(frozen=True, slots=True)
class FreshInterpreter:
    """How fresh interpreters are started; `run` and `imports` start one each.

    path       folders in front of its ``sys.path``
    env        changes to the environment; None as a value removes the variable
    options    of the interpreter itself: ``("-I",)``, ``("-W", "error")``
    cwd        None: the current directory
    timeout_s  after that it is stopped, with all processes that it started
    python     None: this interpreter
    """

    path: tuple[str | os.PathLike[str], ...] = ()
    env: Mapping[str, str | None] | None = None
    options: tuple[str, ...] = ()
    cwd: str | os.PathLike[str] | None = None
    timeout_s: float = 60.0
    python: str | None = None

    def with_(self, **changes: object) -> FreshInterpreter:
        """The same with other settings."""
        return replace(self, **changes)  # type: ignore[arg-type]  # `replace` refuses what is none

    def run(self, code: str, *args: str) -> FreshResult:
        """Run ``code`` as ``__main__``; ``args`` are its ``sys.argv[1:]``. Never raises for what it does."""
        # A file: the tracebacks of 3.11 and 3.12 show no source for what was given by -c.
        with tempfile.TemporaryDirectory(
            prefix="importtrace-fresh-", ignore_cleanup_errors=True
        ) as folder:
            program = Path(folder, "program.py")
            report = Path(folder, "modules")
            program.write_text(textwrap.dedent(code), encoding="utf-8")
            entries = [os.path.abspath(entry) for entry in self.path]
            start = f"__import__('sys').path[0:0] = {entries!r}\n{_CHILD}"
            python = self.python or sys.executable
            command = [python, "-X", "faulthandler", *self.options, "-c", start]
            command += [os.fspath(program), os.fspath(report), *args]
            outputs = Path(folder, "stdout"), Path(folder, "stderr")
            status = run_command(command, *outputs, self.cwd, self.env, self.timeout_s)
            # Files, not pipes: a process left behind would hold a pipe open.
            stdout, stderr = (
                path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
                for path in outputs
            )
            modules = None
            if report.exists():
                modules = tuple(report.read_text(encoding="utf-8").split())
            return FreshResult(stdout, stderr, status, modules)

    def imports(self, *modules: str) -> FreshResult:
        """Import these, in this order, and nothing else."""
        return self.run("".join(f"import {module}\n" for module in modules))


def run_fresh(code: str, *args: str, **settings: object) -> FreshResult:
    """Run ``code`` in a new interpreter. ``settings`` are those of `FreshInterpreter`."""
    return FreshInterpreter().with_(**settings).run(code, *args)


def import_fresh(*modules: str, **settings: object) -> FreshResult:
    """Import these in a new interpreter, in this order. ``settings`` as for `run_fresh`."""
    return FreshInterpreter().with_(**settings).imports(*modules)


def run_command(
    command: Sequence[str],
    stdout: Path,
    stderr: Path,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str | None] | None,
    timeout_s: float,
) -> int | None:
    """Exit status; None if it was stopped after ``timeout_s``. Nothing that it started outlives it."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"}
    for key, value in (env or {}).items():
        if value is None:
            environment.pop(key, None)
        else:
            environment[key] = value
    with stdout.open("wb") as out, stderr.open("wb") as err:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
        try:
            return child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _ask_for_stacks(child)
            return None
        finally:
            _end(child)


def _ask_for_stacks(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        return
    child.send_signal(signal.SIGABRT)  # faulthandler writes the stack of every thread
    try:
        child.wait(_LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        pass


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends it, and what it started and left behind."""
    if sys.platform == "win32":
        child.kill()
    else:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    child.wait()


@contextmanager
def restored_modules(*forget: str) -> Iterator[None]:
    """Put `sys.modules` back as it was when the block ends; the dictionary itself stays the same.

    What the block imported is gone afterwards, what it removed or replaced is back, and so are the
    names of submodules in their packages. ``forget`` names modules that the block is to find not yet
    imported, each with its submodules. Other traces of an import (a registered codec, a patched class)
    stay; extension modules such as numpy cannot be imported twice: use `run_fresh` for both.
    """
    before = dict(sys.modules)
    bound = {name: _bound(name) for name in before if "." in name}
    for name in before:
        if any(name == gone or name.startswith(f"{gone}.") for gone in forget):
            del sys.modules[name]
            _unbind(name, before[name])
    importlib.invalidate_caches()  # files that a test wrote a moment ago are found
    try:
        yield
    finally:
        for name, module in sys.modules.copy().items():
            if before.get(name, _ABSENT) is not module:
                del sys.modules[name]
                _unbind(name, module)
        for name, module in before.items():
            if sys.modules.get(name, _ABSENT) is not module:
                sys.modules[name] = module
        for name, value in bound.items():
            parent, _, child = name.rpartition(".")
            if value is not _ABSENT and _bound(name) is not value and parent in before:
                setattr(before[parent], child, value)


_ABSENT = object()


def _bound(name: str) -> object:
    """What the package of ``name`` has under its last part, without asking its ``__getattr__``."""
    parent, _, child = name.rpartition(".")
    return getattr(sys.modules.get(parent), "__dict__", {}).get(child, _ABSENT)


def _unbind(name: str, module: object) -> None:
    parent, _, child = name.rpartition(".")
    if parent and module is not None and _bound(name) is module:
        try:
            delattr(sys.modules[parent], child)
        except AttributeError:
            pass


def assert_import_safe(
    target: str,
    *,
    entries: Sequence[str] = (),
    threads: int = 2,
    orders: str = "all",
    path: Sequence[str | os.PathLike[str]] = (),
    python: str | None = None,
    time_limit_s: float | None = 30.0,
    switches: int = 2,
    lines: bool = False,
    seed: int = 0,
) -> Report:
    """What ``importtrace reproduce TARGET`` does; AssertionError with its whole report if an import failed.

    target        a package or module; its code is executed, in processes of its own
    entries       what the threads import: ``"module"``, or ``"module:name"`` for ``from module import name``;
                  none: pairs of the target's modules
    threads       at once; 1: orders only
    orders        ``"all"``: every module of the target must be importable first. ``"entries"``: only the
                  entries, one by one and in each order; quicker, where the target is large
    path          folders in front of ``sys.path``
    python        another interpreter; None: this one
    time_limit_s  for all of it; None: as long as it takes
    switches      every schedule with up to this many switches between threads is run
    lines         also switch at each line of a module's body, not only at imports
    seed          of the random schedules that fill the time: the same each run, unless you change it

    Returns the report: what was covered, in numbers (``schedules_run``, ``complete``,
    ``out_of_time``). No failure found is not a proof that there is none. A deadlock that only
    CPython's own order of locks makes (before 3.15.2) fails the assertion where ``entries`` are
    given, and is passed over where they are not.
    """
    __tracebackhide__ = True
    if orders not in ("all", "entries"):
        raise ValueError(f'orders must be "all" or "entries", not {orders!r}')
    if orders == "entries" and not entries:
        raise ValueError('orders="entries" needs entries=[...]')
    from importtrace.race import report as reports
    from importtrace.race import search

    report = search.explore(
        target,
        entries=entries,
        threads=threads,
        path=[os.fspath(folder) for folder in path],
        python=python,
        time_limit_s=time_limit_s,
        bound=switches,
        lines=lines,
        seed=seed,
        orders_of_entries_only=orders == "entries",
    )
    if report.interrupted:
        raise KeyboardInterrupt
    if report.failed:
        raise AssertionError(f"not safe to import\n\n{reports.text(report)}")
    return report
