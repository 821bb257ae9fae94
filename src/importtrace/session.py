"""`install()` and what comes after it: one session a process.

Installing places the seams and nothing else. The trace is delivered (file, log, spans) once the
start-up is over: at `mark_ready()`, at a server's ready point, after an uncaught error, or at exit.
"""

import sys
from time import perf_counter_ns as clock
from time import time_ns

from importtrace import _compat, _late
from importtrace._hooks import Hooks, Process
from importtrace._lookout import Lookout
from importtrace._probes import Probes
from importtrace._recorder import Recorder
from importtrace.config import READY_POINTS, Config, resolve, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any, Self

    from importtrace._failures import Failures
    from importtrace._finder import TracingFinder
    from importtrace._recorder import Load
    from importtrace._spool import Spool
    from importtrace.cause import Cause
    from importtrace.records import Trace

_process = Process()
_current: "Session | None" = None


class Session:
    """Tracing, from `install()` to `uninstall()`. Also a context manager."""

    def __init__(self, config: "Config") -> None:
        self.config = config
        self.mode = _mode(config.mode)
        self._recorder = Recorder(config.max_records)
        self._failures: Failures | None = None  # from the first failure on
        self._hooks = Hooks(self._recorder, self._tell, self._after_uncaught, self.mark_ready)
        self._probes: Probes | None = None
        self._finder: TracingFinder | None = None
        self._epoch_ns = 0
        self._ready: tuple[int, str] | None = None
        self._uncaught = False
        self._broken: str | None = None
        self._owner = ""  # the pid to which a file name without {pid} belongs
        self._file: str | None = None
        self._delivery: Any = None  # a lock that the delivering thread holds
        self._forked = False
        self._parent_pid: int | None = None
        self._parent_trace: dict[str, Any] | None = None  # of the process this was forked from
        self._lookout = Lookout(self._recorder, config, self._write_while_it_hangs)
        self._spool: Spool | None = None

    # on and off ----------------------------------------------------------------------------

    def _start(self) -> None:
        _process.register()
        self._epoch_ns = time_ns()
        self._recorder.started_at = clock()
        environment = _environment()
        self._owner = environment.get("IMPORTTRACE_FILE_OWNER") or str(_pid())
        self._file = self.config.file
        _late.place(self._recorder.state)
        if self.config.spool is not None:
            self._open_spool()  # before the probes: they take its hooks as they find them
        if self.mode == "finder":
            from importtrace._finder import TracingFinder

            self._finder = TracingFinder(
                self._recorder, self._failed, self._hooks, self._stop_tracing
            )
            self._finder.place()
        else:
            self._probes = Probes(self._recorder, self._failed, self._hooks, self._stop_tracing)
            self._probes.place()
        if self.config.propagate == "on":
            self._propagate()
        self._hooks.threading_loaded = _process.go_first
        self._hooks.place(READY_POINTS, self.config.ready_at)
        _process.before_fork = self._before_fork
        _process.after_fork = self._after_fork
        _process.after_fork_in_parent = self._lookout.after_fork_in_parent
        _process.at_exit = self._at_exit
        _process.before_exit = self._before_exit
        self._lookout.watchdog.rests = self._probes is not None
        self._lookout.start()

    def _open_spool(self) -> None:
        try:
            from importtrace._spool import Spool
        except ImportError as error:  # an interpreter without mmap
            warn(f"no spool, imports are not spooled: {error}")
            return
        from importtrace._delivery import process_facts

        facts = {**process_facts(self.mode, _environment()), "start": self._epoch_ns}
        spool = Spool(self._recorder, self.config, facts)
        if spool.open():
            recorder = self._recorder
            recorder.began, recorder.entered, recorder.kept = (
                spool.began,
                spool.entered,
                spool.kept,
            )
            self._spool = spool

    def _stop(self) -> None:
        """Take the seams back; what was recorded stays readable."""
        self._recorder.off = True
        for part in (self._probes, self._finder, self._hooks, self._lookout):
            if part is not None:
                try:
                    part.remove()
                except Exception:
                    pass  # fail open, here too: the rest is taken back, and who stops says so

    def _stop_tracing(self, error: BaseException) -> None:
        """Fail open: something of ours raised inside an import."""
        if self._broken is None:
            self._broken = f"{type(error).__name__}: {error}"
            self._stop()
            if self._spool is not None:
                self._spool.finish("stopped", self._broken)
            warn(f"tracing stopped, the program goes on untraced ({self._broken})")

    def uninstall(self) -> None:
        """Stop tracing; every object that was replaced is put back. What is recorded stays readable."""
        global _current
        with _process.lock:
            if _current is self:
                _current = None
                _process.before_fork = _process.after_fork = _process.at_exit = None
                _process.after_fork_in_parent = _process.before_exit = None
            self._stop()
            if self.config.propagate == "on":
                from importtrace.exporters import propagation

                propagation.withdraw()
            if self._spool is not None:
                self._spool.finish("uninstalled")

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: "TracebackType | None",
    ) -> None:
        self.uninstall()

    # looking -------------------------------------------------------------------------------

    def trace(self) -> "Trace":
        """What was recorded so far: an immutable `Trace`."""
        trace: Trace = self._snapshot("snapshot")
        return trace

    def explain(self, error: BaseException) -> "Cause | None":
        """The cause of an exception; None if no import has to do with it. From any thread, at any time."""
        state = self._recorder.state()
        state.muted += 1
        try:
            data = self._known_failures().explain(error)
            if data is None:
                return None
            from importtrace.cause import Cause

            return Cause.from_dict(data)
        finally:
            state.muted -= 1

    def _failed(self, load: "Load", error: BaseException) -> None:
        """A load ends with an exception; its lock is still held."""
        if type(error) is MemoryError:
            # CPython's own: there is nothing to explain, and no memory to do it with.
            first = error.args[0] if error.args else None
            load.error = "MemoryError", first if type(first) is str else None
            return
        failures = self._failures
        if failures is None:
            if sys.meta_path is None or sys.is_finalizing():
                return  # the interpreter is shutting down: nothing can be imported any more
            state = self._recorder.state()
            state.muted += 1
            try:
                failures = self._known_failures()
            except Exception:  # an emptied sys.path, no file descriptor left: recorded, unexplained
                load.error = type(error).__qualname__, None
                return
            finally:
                state.muted -= 1
        failures.failed(load, error)

    def _known_failures(self) -> "Failures":
        if self._failures is None:
            from importtrace._failures import Failures

            proves = self._finder.proves if self._finder is not None else None
            self._failures = Failures(self._recorder, proves)
        return self._failures

    def _snapshot(self, end: str, *, plain: bool = False) -> "Any":
        """A `Trace`; where that needs a module that a file of the user's hides, a `_snapshot.Plain`."""
        state = self._recorder.state()
        state.muted += 1
        try:
            from importtrace import _snapshot
            from importtrace._snapshot import Facts

            facts = Facts()
            facts.mode = self.mode
            facts.epoch_ns = self._epoch_ns
            facts.end = end
            if self._parent_pid is not None:
                facts.parent_pid = self._parent_pid
            if self._ready is not None:
                facts.ready_at, facts.ready_by = self._ready
            if self._failures is not None:
                facts.unexplained = list(self._failures.unexplained)
            if self._broken is not None:
                facts.stopped = self._broken
            facts.ready_points = dict(self._hooks.ready_points)
            take = _snapshot.plain if plain else _snapshot.snapshot
            trace = take(self._recorder, facts)
            if self._parent_trace is not None:
                trace.header["parent_trace"] = self._parent_trace
            trace.header.update(self._lookout.header())
            return trace
        finally:
            state.muted -= 1

    # the end of the start-up ---------------------------------------------------------------

    def mark_ready(self, reason: str = "explicit") -> None:
        """Start-up is over: deliver the trace, on a thread of ours. Later calls do nothing."""
        with _process.lock:
            if self._ready is not None:
                return
            self._ready = clock(), reason
            self._lookout.watchdog.ready_at = self._ready[0]
        if self._spool is not None:
            self._spool.ready(*self._ready)
        import _thread

        done = _thread.allocate_lock()
        done.acquire()
        self._delivery = done

        def deliver() -> None:
            try:
                self._deliver("ready", at_exit=False)
            finally:
                done.release()

        if not _compat.start_deaf(lambda: _thread.start_new_thread(deliver, ())):
            deliver()  # no thread to be had: in this one

    def _tell(self, error: BaseException) -> None:
        state = self._recorder.state()
        state.muted += 1
        try:
            self._known_failures().tell(error)
            if self._spool is not None:
                self._spool.told()
        finally:
            state.muted -= 1

    def _after_uncaught(self) -> None:
        """An error left the entry script: the last moment at which the SDK can be imported."""
        self._uncaught = True
        if self._ready is None:
            self._deliver("exit", at_exit=False)

    def _propagate(self) -> None:
        """Before the seams are placed, or muted: what it imports is ours."""
        state = self._recorder.state()
        state.muted += 1
        try:
            from importtrace.exporters import propagation

            propagation.propagate(self._epoch_ns)
        except Exception as error:
            warn(f"children get no trace context ({type(error).__name__}: {error})")
        finally:
            state.muted -= 1

    def _before_exit(self) -> None:
        """Before exit handlers shut the application's TracerProvider down."""
        self._join_delivery()
        if self._ready is None and not (self._forked and not self._recorder.log):
            self._deliver("exit", at_exit=True)

    def _at_exit(self) -> None:
        self._join_delivery()
        self._lookout.finish()
        try:
            imported = self._recorder.log or self._recorder.failures or self._lookout.header()
            if self._forked and not imported:
                return  # a forked process that imported nothing has no start-up of its own
            self._deliver("exit", at_exit=True)
        finally:
            if self._spool is not None:
                self._spool.finish("exit")

    def _join_delivery(self) -> None:
        delivery = self._delivery
        if delivery is not None and delivery.acquire(timeout=self.config.export_timeout_s):
            delivery.release()

    def _deliver(self, end: str, *, at_exit: bool) -> None:
        state = self._recorder.state()
        state.muted += 1
        try:
            from importtrace._delivery import deliver

            deliver(
                lambda plain: self._snapshot(end, plain=plain),
                self.config,
                self._path,
                _environment(),
                at_exit,
            )
        except Exception as error:
            warn(f"the trace was not delivered ({type(error).__name__}: {error})")
        finally:
            state.muted -= 1

    def _path(self, pid: int) -> str | None:
        """The trace file of this process."""
        if self._file is None:
            return None
        from importtrace.naming import trace_path

        return trace_path(self._file, pid, self._owner)

    def _write_while_it_hangs(self, stalls: "list[dict[str, Any]]") -> None:
        """The trace file as it is, since such a process is killed rather than ended. On the watchdog's
        thread; not where what it needs might have to wait for what hangs."""
        import _imp

        if self._spool is not None:
            for stall in stalls:
                self._spool.hangs(stall)
        loading = [load.name.partition(".")[0] for load in list(self._recorder.open.values())]
        if self._file is None or _imp.lock_held() or not any("ended_ns" not in s for s in stalls):
            return
        if any(name in sys.stdlib_module_names for name in loading):
            return
        state = self._recorder.state()
        state.muted += 1
        try:
            from importtrace._delivery import write

            write(lambda plain: self._snapshot("snapshot", plain=plain), self.config, self._path)
        except Exception as error:
            warn(f"the trace of a hanging import was not written ({type(error).__name__}: {error})")
        finally:
            state.muted -= 1

    # forks ---------------------------------------------------------------------------------

    def _before_fork(self) -> None:
        # A live thread makes os.fork() warn on 3.12+, and an error of it under -W error.
        self._join_delivery()
        exporters: Any = sys.modules.get("importtrace.exporters")
        if exporters is not None:
            exporters.before_fork()
        self._lookout.before_fork()

    def _after_fork(self) -> None:
        """The child is a process of its own: its record begins here, with what this thread has open."""
        system: Any = sys.modules["posix"]
        _late.restart()
        self._recorder.restart()
        self._parent_trace = {"pid": system.getppid(), "start": self._epoch_ns}
        self._epoch_ns = time_ns()
        if self._spool is not None:
            self._spool.forked(self._epoch_ns, self._parent_trace)
        self._ready = None
        self._uncaught = False
        self._delivery = None
        self._forked = True
        self._parent_pid = system.getppid()
        if self.config.propagate == "on":
            self._propagate()
        self._lookout.after_fork_in_child(self._parent_pid, self._at_exit)


def _pid() -> int:
    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    return int(system.getpid())


def _mode(wanted: str) -> str:
    missing = _compat.missing()
    if wanted == "finder" or (wanted == "auto" and missing):
        return "finder"
    if missing:
        from importtrace.errors import UnsupportedError

        raise UnsupportedError(
            f"mode 'probes' needs {', '.join(missing)}, which this interpreter does not have; "
            "use mode 'auto'"
        )
    return wanted


def install(
    *,
    file: "Any" = None,
    mode: str | None = None,
    log: str | None = None,
    spans: str | None = None,
    max_records: int | None = None,
    max_spans: int | None = None,
    long_wait_ms: int | None = None,
    stall_seconds: float | None = None,
    on_orphaned_lock: str | None = None,
    export_timeout_s: int | None = None,
    ready_at: "Any" = None,
    redact: "Any" = None,
    propagate: str | None = None,
    spool: "Any" = None,
    spool_file_mb: int | None = None,
    spool_files: int | None = None,
    spool_mb: int | None = None,
) -> "Session":
    """Start recording imports; returns the session, the one that runs already if there is one.

    Arguments override `IMPORTTRACE_*` variables (docs/configuration.md). Raises ConfigError for an
    argument that means nothing, UnsupportedError for a mode that this interpreter cannot do.
    """
    global _current
    given = {
        "file": file,
        "mode": mode,
        "log": log,
        "spans": spans,
        "max_records": max_records,
        "max_spans": max_spans,
        "long_wait_ms": long_wait_ms,
        "stall_seconds": stall_seconds,
        "on_orphaned_lock": on_orphaned_lock,
        "export_timeout_s": export_timeout_s,
        "ready_at": ready_at,
        "redact": redact,
        "propagate": propagate,
        "spool": spool,
        "spool_file_mb": spool_file_mb,
        "spool_files": spool_files,
        "spool_mb": spool_mb,
    }
    with _process.lock:
        if _current is not None:
            return _current
        session = Session(resolve(given, _environment()))
        try:
            session._start()
        except Exception as error:
            session._stop_tracing(error)
        _current = session
        return session


def _environment() -> "Mapping[str, str]":
    os: Any = sys.modules.get("os")
    if os is not None:
        environ: Mapping[str, str] = os.environ
        return environ
    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    return {
        (key.decode() if type(key) is bytes else key): (
            value.decode(errors="replace") if type(value) is bytes else value
        )
        for key, value in system.environ.items()
    }


def uninstall() -> None:
    """Stop recording and put everything back. Does nothing if nothing is installed."""
    if _current is not None:
        _current.uninstall()


def trace() -> "Trace":
    """What was recorded so far. Raises ImportTraceError if nothing is installed."""
    return _session().trace()


def explain(error: BaseException) -> "Cause | None":
    """The cause of an exception; None if no import has to do with it, or nothing is installed."""
    return _current.explain(error) if _current is not None else None


def mark_ready(reason: str = "explicit") -> None:
    """Say that the start-up is over. Does nothing if nothing is installed."""
    if _current is not None:
        _current.mark_ready(reason)


def _session() -> "Session":
    if _current is None:
        from importtrace.errors import ImportTraceError

        raise ImportTraceError("nothing is recorded: call importtrace.install() first")
    return _current
