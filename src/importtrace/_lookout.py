"""What a session has to do with imports that hang, and with forks: the watchdog, its reports, the hooks.

What is needed only then is run then, past the import system, which may be what hangs (_late.py).
"""

import _thread
import sys

from importtrace import _compat, _late
from importtrace._watchdog import Watchdog
from importtrace.config import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace._recorder import Recorder
    from importtrace._watchdog import Stall
    from importtrace.config import Config


class Lookout:
    """What a session has to do with imports that hang, and with forks.

    `write` puts what was told of down while it hangs: the process may be killed before it ends.
    """

    def __init__(
        self,
        recorder: "Recorder",
        config: "Config",
        write: "Callable[[list[dict[str, Any]]], object]",
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._write = write
        self._alarms: Any = None
        self._held: list[Any] = []  # what other threads held at the last fork
        self._warned: set[tuple[str, int | None]] = set()
        self._finalizes = False
        self.watchdog = Watchdog(recorder, config.stall_seconds, self._report, self._broken)

    def start(self) -> None:
        self._recorder.state()  # while this is still the only thread: it names the main one
        self._watch(now=True)

    def _watch(self, *, now: bool) -> None:
        """From the next import on, or `now` if one is going on."""
        if now and (self._recorder.open or not self.watchdog.rests):
            self.watchdog.start()
        else:
            self.watchdog.start_with_next_import()

    def remove(self) -> None:
        """The seams are taken back."""
        self.watchdog.stop()
        forks = _late.ran("_forks")
        if forks is not None:
            forks.release()

    def finish(self) -> None:
        """The exit: a last look, so that what has ended since is told."""
        if self.watchdog.stop(for_the_system=False):
            self.watchdog.look()

    def header(self) -> "dict[str, Any]":
        """What the trace's first line says of this."""
        out: dict[str, Any] = {}
        stalls = [stall.data for stall in list(self.watchdog.stalls) if stall.data]
        if stalls:
            out["stalls"] = stalls
        forks = _late.ran("_forks")
        if forks is not None and forks.ORPHANS:
            out["orphaned"] = [orphan.held.to_dict() for orphan in list(forks.ORPHANS.values())]
        return out

    # forks ---------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self.watchdog.stop()  # a live thread makes os.fork() warn
        self._held = []
        me = _thread.get_ident()
        if any(owner != me for _, owner, _ in _compat.held_locks()):
            from importtrace._forks import held_elsewhere

            self._held = held_elsewhere(self._recorder)

    def after_fork_in_parent(self) -> None:
        self._watch(now=not _compat.COUNTS_THREADS_AFTER_FORK_HOOKS)
        new = [one for one in self._held if (one.module, one.serial) not in self._warned]
        if new and not self._recorder.off:
            self._warned.update((one.module, one.serial) for one in new)
            modules: dict[str, list[str]] = {}
            for one in new:
                modules.setdefault(str(one.name or one.ident), []).append(one.module)
            held = "; ".join(
                f"thread {name} was importing {', '.join(found)}" for name, found in modules.items()
            )
            self._known_alarms().fork(
                f"this process was forked while {held}: in the child, an import of these can never "
                "finish",
                [one.to_dict() for one in new],
            )

    def after_fork_in_child(self, parent_pid: int, at_exit: "Callable[[], None]") -> None:
        self._follow_end(at_exit)
        watchdog = self.watchdog
        watchdog.restart_in_child()
        self._alarms = None
        self._warned.clear()
        held, self._held = self._held, []
        if held:
            from importtrace._forks import adopt

            raising = self._config.on_orphaned_lock == "raise"
            adopt(held, parent_pid, raising, self._recorder, watchdog.wake)
        forks = _late.ran("_forks")
        if forks is not None and forks.ORPHANS:
            watchdog.hopeless = forks.asking
            watchdog.after_look = self._tell_handed_out
            watchdog.start()
        else:
            self._watch(now=True)

    def _follow_end(self, at_exit: "Callable[[], None]") -> None:
        """A process that multiprocessing or celery's billiard has forked ends by os._exit: no exit
        handler runs there, only their own. Imports nothing and takes no lock, right after a fork."""

        def end() -> None:
            try:
                if not self._recorder.off:
                    at_exit()
            except Exception as error:
                warn(f"at the end of a forked process: {type(error).__name__}: {error}")

        celery: Any = sys.modules.get("importtrace.integrations.celery")
        if celery is not None:
            celery.process_ends = end
        util: Any = sys.modules.get("multiprocessing.util")
        if util is None or self._finalizes:
            return  # nobody uses it here, or this child has inherited what its parent registered
        try:
            # a finalizer registered now would be cleared with the parent's
            util.register_after_fork(
                self, lambda lookout: util.Finalize(None, end, exitpriority=-1_000)
            )
            self._finalizes = True
        except Exception:
            pass  # a file of the user's that has its name

    # on the watchdog's thread --------------------------------------------------------------

    def _known_alarms(self) -> "Any":
        if self._alarms is None:
            from importtrace._alarms import Alarms

            config = self._config
            self._alarms = Alarms(self._recorder, config.log != "off", config.redact, _orphan_of)
        return self._alarms

    def _report(self, new: "list[Stall]", ended: "list[Stall]") -> None:
        state = self._recorder.state()
        state.muted += 1  # what it takes is ours, not the program's
        try:
            self._known_alarms().report(new, ended)
        except Exception as error:
            names = [stall.subject.name for stall in new if stall.subject is not None]
            warn(f"no report on hanging imports ({type(error).__name__}: {error}): {names}")
        finally:
            state.muted -= 1
        told = [stall.data for stall in (*new, *ended) if stall.data]
        if told:
            self._write(told)

    def _tell_handed_out(self) -> None:
        from importtrace._forks import handed_out

        for module, thread, summary in handed_out():
            self._known_alarms().handed_out(module, thread, summary)

    def _broken(self, error: BaseException) -> None:
        warn(f"hanging imports are no longer watched for ({type(error).__name__}: {error})")


def _orphan_of(module: str, picture: "Any", thread: "Any") -> "dict[str, Any] | None":
    forks = _late.ran("_forks")
    found: dict[str, Any] | None = None
    if forks is not None:
        found = forks.orphan_of(module, picture, thread)
    return found
