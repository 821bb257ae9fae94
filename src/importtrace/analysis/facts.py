"""What was observed of one failure, as plain values: the input of `causes.explain`.

Stdlib-free, since it is filled in inside a failing import. None and empty mean "not observed".
Threads are `{"id", "name"}` as in the contract.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Frame:
    """A place in the program. `body` is said of a module's own level."""

    __slots__ = ("body", "file", "line", "module", "thread")

    def __init__(
        self, file: str, line: int, module: str | None, body: bool, thread: "dict[str, Any]"
    ) -> None:
        self.file = file
        self.line = line
        self.module = module
        self.body = body
        self.thread = thread


class OpenLoad:
    """A load that had not ended: who builds the module, and where its body stands."""

    __slots__ = ("file", "line", "module", "own", "state", "thread", "waiting_for")

    def __init__(
        self,
        module: str,
        thread: "dict[str, Any]",
        own: bool,
        state: str,
        file: str | None,
        line: int | None,
        waiting_for: str | None,
    ) -> None:
        self.module = module
        self.thread = thread
        self.own = own  # of the failing thread
        self.state = state
        self.file = file
        self.line = line
        self.waiting_for = waiting_for  # the module its thread is blocked on


class Earlier:
    """A load that failed before: where it was asked for, and what the matter was."""

    __slots__ = ("file", "importer", "line", "module", "name", "own", "root", "thread")

    def __init__(
        self,
        module: str,
        name: str | None,
        file: str | None,
        line: int | None,
        importer: str | None,
        thread: "dict[str, Any]",
        own: bool,
        root: "dict[str, Any]",
    ) -> None:
        self.module = module
        self.name = name
        self.file = file
        self.line = line
        self.importer = importer
        self.thread = thread
        self.own = own
        self.root = root  # {"module","thread","file","line","type","message"}


class HandOut:
    """The request by which the failing statement got its module."""

    __slots__ = ("builder", "deadlock", "failed", "file", "line", "module", "own", "waited_ms")

    def __init__(
        self,
        module: str,
        builder: "dict[str, Any] | None",
        own: bool,
        deadlock: bool,
        waited_ms: float,
        failed: "Earlier | None",
        file: str | None,
        line: int,
    ) -> None:
        self.module = module
        self.file = file  # where it was asked for
        self.line = line
        self.builder = builder  # the thread that was building it
        self.own = own  # it was the asking thread itself
        self.deadlock = deadlock  # handed out half-built, since waiting would have been a deadlock
        self.waited_ms = waited_ms
        self.failed = failed  # that load failed


class Failure:
    """One exception object that an import led to."""

    __slots__ = (
        "behind",
        "bound",
        "context",
        "context_explicit",
        "deadlock",
        "earlier",
        "files",
        "first",
        "frames",
        "handout",
        "handouts",
        "import_error",
        "left_by",
        "load",
        "message",
        "missing",
        "name",
        "not_found",
        "of_none",
        "open",
        "origin",
        "orphans",
        "packages",
        "parent_failed",
        "parent_path",
        "path",
        "present",
        "raised_in",
        "refused",
        "removed",
        "same_file",
        "search_stopped",
        "stage",
        "thread",
        "twins",
        "type",
        "types",
        "waits",
    )

    def __init__(self, type_name: str, message: str | None, thread: "dict[str, Any]") -> None:
        self.type = type_name
        self.message = message
        self.thread = thread
        self.import_error = False  # an ImportError
        self.not_found = False  # a ModuleNotFoundError
        self.deadlock = False  # a _DeadlockError
        self.name: str | None = None  # ImportError.name
        self.missing: tuple[str, str] | None = None  # (module, attribute) that was not there
        self.present = False  # by now the module has it
        self.of_none: str | None = None  # the attribute that None did not have
        self.raised_in: str | None = None  # function of importlib that raised it
        self.load: str | None = None  # the innermost load that failed
        self.origin: str | None = None  # its file
        self.stage: str | None = None  # "find" | "create" | "compile" | "body"
        self.removed: str | None = None  # importlib missed this one in sys.modules
        self.search_stopped: str | None = None  # "none" | "finder"
        self.frames: list[Frame] = []  # from the first frame outside importing
        self.open: list[OpenLoad] = []  # outermost first, thread by thread
        self.bound: dict[str, tuple[str, ...]] = {}  # names in a half-built module
        self.files: dict[str, str] = {}  # module -> file, of those concerned
        self.packages: dict[str, tuple[str, ...]] = {}  # module -> __path__
        self.handout: HandOut | None = None
        self.handouts: list[HandOut] = []  # all that the failing module was handed half-built
        self.left_by: Earlier | None = None  # the failed load that left the module's object behind
        self.earlier: list[Earlier] = []  # failures asked for in the files concerned
        self.parent_failed: Earlier | None = None  # the parent package's load that failed
        self.first: Earlier | None = (
            None  # the same failure of this load, earlier, in another thread
        )
        self.context: Earlier | None = None  # the failure it was raised from
        self.behind: Failure | None = None  # the exception it was raised from, if that left no load
        self.context_explicit = False  # by `raise … from`, not only while that was handled
        # module -> {"module","thread","file","line","pid","message"}: its lock was held by another
        # thread when this process was forked from `pid`, and nobody holds it here
        self.orphans: dict[str, dict[str, Any]] = {}
        self.refused: str | None = None  # the module whose lock a _DeadlockError is about
        self.waits: list[dict[str, Any]] = []
        self.twins: dict[str, str] = {}  # module -> another name of the same file
        self.same_file: dict[str, str] = {}  # loaded modules of one file, by two names
        # variable -> (module, name) of its class and its bases
        self.types: dict[str, tuple[tuple[str, str], ...]] = {}
        self.path: tuple[str, ...] = ()  # sys.path
        self.parent_path: tuple[str, ...] = ()


class Files:
    """Read access to source files, one parse each. `text` gives text or None; `names` a folder's entries."""

    def __init__(
        self,
        read: "Callable[[str], str | None]",
        names: "Callable[[str], list[str]]",
        file_of: "Callable[[str], str | None]",
    ) -> None:
        self.text = read
        self.names = names
        self.file_of = file_of  # the file of a loaded module
        self._sources: dict[str, Any] = {}

    def source(self, file: str | None) -> "Any":
        """The file's `statements.Source`, or None where there is no text."""
        from importtrace.analysis.statements import Source

        if not file or file.startswith("<"):
            return None
        if file not in self._sources:
            text = self.text(file)
            self._sources[file] = Source(text) if text is not None else None
        return self._sources[file]

    def statement(self, file: str | None, line: int | None) -> str | None:
        source = self.source(file)
        found: str | None = source.statement(line) if source is not None and line else None
        return found
