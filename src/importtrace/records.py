"""What a trace consists of: immutable values, built when somebody looks, never while importing.

The keys of ``to_dict()`` are the trace file's keys (docs/trace-file.md). ``None`` always means
"does not apply" or "was not observed", and such a key is absent on disk. Names that end in ``_ns``
are nanoseconds; ``start_ns`` counts from the trace's start.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from importtrace._shown import SCHEMA as SCHEMA
from importtrace._shown import not_observed as not_observed
from importtrace._shown import observed as observed

Kind = Literal["load", "request"]
Outcome = Literal["ok", "failed", "partial", "waited"]


KINDS = frozenset(("load", "request"))
OUTCOMES = frozenset(("ok", "failed", "partial", "waited"))

# What a line on disk must hold; every other key holds text.
_INTEGERS = frozenset(("id", "parent", "of", "harmless_requests"))
_OBJECTS = frozenset(("thread", "importer", "held_by", "error", "cause"))
_LISTS = frozenset(("names", "bound_names"))
_FLAGS = frozenset(("handled", "implied", "reload"))


def _check(key: str, value: Any) -> None:
    """Raises TypeError where a key of a record has a value of another kind than the contract's."""
    if key.endswith("_ns") or key in _INTEGERS:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif key in _OBJECTS:
        fits = isinstance(value, dict)
    elif key in _LISTS:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    elif key in _FLAGS:
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise TypeError(f"{key} is {type(value).__name__}")


def _drop_none(pairs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pairs.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ThreadRef:
    """A thread. ``serial`` is unique in a trace; ``id`` is the ident, which Python reuses at once."""

    id: int
    name: str | None = None
    serial: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return _drop_none({"id": self.id, "name": self.name, "serial": self.serial})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        thread = cls(id=data["id"], name=data.get("name"), serial=data.get("serial"))
        if not isinstance(thread.id, int) or not isinstance(thread.serial, int | None):
            raise TypeError("thread has no integer id")
        return thread


@dataclass(frozen=True, slots=True)
class Importer:
    """Where an import was asked for. ``line`` is 1-based; ``statement`` is the source text."""

    file: str | None = None
    line: int | None = None
    module: str | None = None
    statement: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return _drop_none(
            {
                "file": self.file,
                "line": self.line,
                "module": self.module,
                "statement": self.statement,
            }
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return cls(**{key: data.get(key) for key in ("file", "line", "module", "statement")})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """One load, or one request that met an unfinished load.

    ``parent`` is the id of the load during which this happened; ``of`` the id of the load a request
    met. ``self_ns`` is ``duration_ns`` less that of the direct children. ``handled`` is said of
    failures only. ``implied`` marks the load of ``a`` that ``import a.b`` asked for.
    """

    kind: Kind
    id: int
    module: str
    thread: ThreadRef
    start_ns: int
    outcome: Outcome | None = None  # None: not over, or its end was not observed
    parent: int | None = None
    of: int | None = None
    duration_ns: int | None = None
    find_ns: int | None = None
    load_ns: int | None = None
    exec_ns: int | None = None
    wait_ns: int | None = None
    self_ns: int | None = None
    importer: Importer | None = None
    names: tuple[str, ...] | None = None
    held_by: dict[str, Any] | None = None
    bound_names: tuple[str, ...] | None = None
    origin: str | None = None
    loader: str | None = None
    finder: str | None = None
    bytecode: Literal["hit", "compiled", "none", "unknown"] | None = None
    error: dict[str, Any] | None = None
    handled: bool | None = None
    cause: dict[str, Any] | None = None
    implied: bool | None = None
    reload: bool | None = None
    harmless_requests: int | None = None

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "import"}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value is None:
                continue
            if isinstance(value, ThreadRef | Importer):
                value = value.to_dict()
            elif isinstance(value, tuple):
                value = list(value)
            out[spec.name] = value
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError or TypeError for a line that is not an import record."""
        known = {spec.name for spec in fields(cls)}
        values = {key: value for key, value in data.items() if key in known and value is not None}
        for key, value in values.items():
            _check(key, value)
        if values["kind"] not in KINDS or values.get("outcome", "ok") not in OUTCOMES:
            raise ValueError("unknown kind or outcome")
        values["thread"] = ThreadRef.from_dict(data["thread"])
        if "importer" in values:
            values["importer"] = Importer.from_dict(values["importer"])
        for key in ("names", "bound_names"):
            if key in values:
                values[key] = tuple(values[key])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Trace:
    """One process: ``header`` is the trace file's first line, ``records`` are ordered by begin.

    ``problems`` lists what was wrong with a file that could still be read, a line each.
    """

    header: dict[str, Any]
    records: tuple[ImportRecord, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def loads(self) -> tuple[ImportRecord, ...]:
        return tuple(record for record in self.records if record.kind == "load")

    @property
    def failures(self) -> tuple[ImportRecord, ...]:
        """The records that carry a cause, in order."""
        return tuple(record for record in self.records if record.cause is not None)

    @property
    def start_ns(self) -> int:
        """Nanoseconds since the epoch at which the trace began."""
        return int(self.header["start"])
