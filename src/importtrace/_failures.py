"""What is written down at the moment an import fails, and who gets told.

A failing load reaches us in `release`, with its lock still held, its exception in flight, and the
other threads where they were: the only moment at which the facts exist. Facts are copied as plain
values; no exception, frame or module is kept alive. An optional dependency that is not there is
everyday, so a plain `not_found` costs next to nothing until it leaves the outermost load.
"""

import sys

from importtrace._callers import traceback_of
from importtrace._compat import BOOTSTRAP_GLOBALS, EXTERNAL_GLOBALS
from importtrace._frames import args_of, is_a

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace._recorder import Load, Recorder, Request, ThreadState

_MOST_FAILURES = 2_000
_MOST_OF_ONE = 20  # failures of one module that are kept
_BY_COMPILER = (SyntaxError, IndentationError, TabError)
_descriptor: "Any" = vars(BaseException)["__dict__"]
_namespace_of: "Any" = _descriptor.__get__  # whatever its class does to attribute access
_PLAIN = (str, int, float, bool, bytes, type(None))


class Caught:
    """One exception object that left a load, or was shown to us later."""

    __slots__ = (
        "cause",
        "everyday",
        "explained",
        "ident",
        "loads",
        "message",
        "note",
        "noted",
        "place",
        "raised_in",
        "request",
        "thread",
        "type",
        "uncaught",
        "where",
    )

    def __init__(self, error: BaseException, thread: "ThreadState | None") -> None:
        self.ident = id(error)
        self.type = type_name(error)
        self.message = message(error)
        self.where = _innermost(error)
        # (module, file, line) of the statement, where the program's own code raised it
        self.place: tuple[str | None, str, int] | None = None
        self.raised_in: str | None = None  # function of importlib, where one raised it
        self.thread = thread
        self.request: Request | None = None  # of a failure that left no load
        self.uncaught = False
        self.loads: list[Load] = []  # innermost first
        self.cause: dict[str, Any] | None = None
        self.explained = False
        self.everyday = False
        self.noted = False
        self.note: str | None = None  # the very object that was put on the exception

    def is_of(self, error: BaseException) -> bool:
        """The same exception object; ids are reused, so what it is must match too."""
        return (
            self.ident == id(error)
            and self.type == type_name(error)
            and (self.where is None or self.where == _innermost(error))
            and (self.message is None or self.message == message(error))
        )


class Failures:
    """Failures of one recorder, and their causes."""

    def __init__(
        self, recorder: "Recorder", proves: "Callable[[str, str], bool] | None" = None
    ) -> None:
        """`proves(kind, type of error)`: whether what is recorded suffices for that; None: always."""
        self._recorder = recorder
        self._proves = proves
        self._by_ident: dict[int, Caught] = {}
        self.unexplained: list[str] = []  # failures whose cause could not be worked out, and why

    # while importing -----------------------------------------------------------------------

    def failed(self, load: "Load", error: BaseException) -> None:
        """`load` ends with `error`; called before its lock is given back."""
        recorder = self._recorder
        state = load.thread
        if load.from_list and _everyday(error, load):
            load.void = True  # `from pkg import name` tried a submodule; importlib swallows this
            return
        caught = state.failing
        if (
            caught is None
            or not caught.loads  # a signal handler raised before it had any
            or load.begin > caught.loads[-1].begin
            or not caught.is_of(error)
        ):
            caught = Caught(error, state)
            if caught.where is None:
                caught.raised_in = _innermost_name(error)
            else:
                caught.place = _innermost_place(error)
            caught.everyday = _everyday(error, load) or self._complete(error)
            self._again(caught, error)
            state.failing = caught
            if len(recorder.failures) < _MOST_FAILURES:
                recorder.failures.append(caught)
            if len(self._by_ident) >= _MOST_FAILURES:
                self._by_ident.clear()
            self._by_ident[caught.ident] = caught
        caught.loads.append(load)
        load.failure = caught
        load.error = (caught.type, caught.message)
        loads = recorder.troubled.get(load.name)
        if loads is not None:
            if len(loads) >= _MOST_OF_ONE:
                del loads[1]  # the first and the latest explain the others
            loads.append(load)
        elif len(recorder.troubled) < _MOST_FAILURES:
            recorder.troubled[load.name] = [load]
        if not is_a(error, Exception) or sys.meta_path is None or sys.is_finalizing():
            return  # SystemExit and the like are not failures of an import
        outermost = len(state.stack) <= 1
        if not caught.explained and (outermost or not caught.everyday):
            self._judge(caught, error, state)
        if caught.cause is not None and not caught.noted:
            if outermost or caught.cause["kind"] not in ("not_found", "missing_name"):
                self.note(caught, error)

    def _again(self, caught: "Caught", error: BaseException) -> None:
        """An exception that has its note, and was raised again: by `future.result()`, from a variable.

        What was said where it arose stays what is said of it. The note proves that it is the same object.
        """
        known = self._by_ident.get(caught.ident)
        if known is not None and known.note is not None and _carries(error, known.note):
            caught.cause, caught.note = known.cause, known.note
            caught.explained = caught.noted = True

    def _complete(self, error: BaseException) -> bool:
        """`from module import name`, and nothing that we know of is the matter with the module."""
        if type(error) is not ImportError or type(error.name) is not str:
            return False
        name, recorder = error.name, self._recorder
        prefix = name + "."
        return (
            name in sys.modules
            and name not in recorder.troubled
            and not any(load.name == name for load in list(recorder.open.values()))
            and not any(
                request.name == name or request.name.startswith(prefix)
                for request in recorder.requests
            )
        )

    def _judge(
        self,
        caught: "Caught",
        error: BaseException,
        state: "ThreadState | None",
        here_raised: bool = False,
    ) -> None:
        caught.explained = True
        here = self._recorder.state()
        here.muted += 1  # the analysis is imported here, at the first failure
        try:
            from importtrace._facts import Collector
            from importtrace.analysis import causes

            collector = Collector(self._recorder, self._by_ident)
            facts = collector.collect(caught, error, state, here_raised)
            cause = causes.explain(facts, collector.files)
            if cause is None or self._proves is None or self._proves(cause["kind"], caught.type):
                caught.cause = cause
        except Exception as failed:
            # Our own files cannot be loaded here (an emptied sys.path, no file descriptor left): the
            # failure stays recorded, without its cause. The program's import is not concerned.
            self.unexplained.append(f"{caught.type}: {type(failed).__name__}: {failed}")
        finally:
            here.muted -= 1

    def note(self, caught: "Caught", error: BaseException) -> None:
        """One note per exception object."""
        if caught.cause is None or caught.noted:
            return
        if type(type(error).__getattribute__) is not type(BaseException.__getattribute__):
            return  # add_note() would run code of the program's
        caught.noted = True
        here = self._recorder.state()
        here.muted += 1
        try:
            from importtrace.analysis.render import text

            note = text(caught.cause)
            BaseException.add_note(error, note)
            caught.note = note
        except Exception:
            pass  # an exception class may refuse attributes; its traceback is then as without us
        finally:
            here.muted -= 1

    # afterwards ----------------------------------------------------------------------------

    def find(self, error: BaseException) -> "Caught | None":
        caught = self._by_ident.get(id(error))
        return caught if caught is not None and caught.is_of(error) else None

    def explain(self, error: BaseException, here_raised: bool = False) -> "dict[str, Any] | None":
        """The cause of any exception, caught anywhere; None if no import has to do with it.

        `here_raised`: this is the thread that it ended, as an excepthook knows.
        """
        caught = self.find(error)
        if caught is None:
            caught = Caught(error, None)
            if len(self._by_ident) < _MOST_FAILURES:
                self._by_ident[caught.ident] = caught
        if not caught.explained:
            self._judge(caught, error, caught.thread, here_raised)
        return caught.cause

    def tell(self, error: BaseException) -> "dict[str, Any] | None":
        """For the excepthooks: explain, and put the note on the exception."""
        if not is_a(error, Exception):
            return None
        cause = self.explain(error, here_raised=True)
        caught = self.find(error)
        if caught is not None:
            caught.uncaught = True
        if cause is not None and caught is not None:
            if caught not in self._recorder.failures:
                self._recorder.failures.append(caught)
            self.note(caught, error)
        return cause


def _carries(error: BaseException, note: str) -> bool:
    notes = _namespace_of(error).get("__notes__")
    return type(notes) is list and any(one is note for one in notes)


def _everyday(error: BaseException, load: "Load") -> bool:
    """A module that is simply not there: importlib looked for it and found nothing."""
    return (
        type(error) is ModuleNotFoundError
        and error.name == load.name
        and not load.found
        and not load.create
    )


def type_name(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    if module in ("builtins", "_frozen_importlib", "__main__") or type(module) is not str:
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"


def message(error: BaseException) -> str | None:
    """`str(error)` where that runs no code of the program's; else None."""
    if type(type(error).__str__) is not type(BaseException.__str__):
        return None
    # SyntaxError keeps a tuple of its place, made by the compiler
    if type(error) not in _BY_COMPILER and not all(type(part) in _PLAIN for part in args_of(error)):
        return None
    return str(error)


def _innermost(error: BaseException) -> tuple[int, int] | None:
    """Where it was raised; None inside importlib, whose frames import.c cuts off on the way out."""
    tb = traceback_of(error)
    if tb is None:
        return 0, 0
    while tb.tb_next is not None:
        tb = tb.tb_next
    namespace = tb.tb_frame.f_globals
    if namespace is BOOTSTRAP_GLOBALS or namespace is EXTERNAL_GLOBALS:
        return None
    return id(tb.tb_frame.f_code), tb.tb_lasti


def _innermost_name(error: BaseException) -> str | None:
    tb = traceback_of(error)
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb.tb_frame.f_code.co_name if tb is not None else None


def _innermost_place(error: BaseException) -> "tuple[str | None, str, int] | None":
    tb = traceback_of(error)
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return None
    frame = tb.tb_frame
    module = frame.f_globals.get("__name__")
    return module if type(module) is str else None, frame.f_code.co_filename, tb.tb_lineno
