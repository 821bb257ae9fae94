"""`Cause`: the explanation of one exception, as `explain()` returns it (docs/causes.md).

No dataclass: `explain()` must work where a file of the user's stands in front of `inspect` or `re`.
"""

from importtrace.analysis.links import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Cause:
    """Why an import failed. What was not observed is None. Immutable; equal by value.

    `kind` is one of the kinds of docs/causes.md; `root` is where the first failure was raised:
    {"module", "thread", "file", "line", "type", "message"}, each present where known.
    """

    __slots__ = (
        "bound_at",
        "caught_at",
        "chain",
        "cycle",
        "fingerprint",
        "hint",
        "kind",
        "message",
        "module",
        "name",
        "partial",
        "root",
        "summary",
        "waits",
    )

    kind: str
    module: str | None
    name: str | None
    summary: str | None
    message: str | None
    chain: "tuple[dict[str, Any], ...]"
    cycle: "tuple[dict[str, Any], ...] | None"
    partial: "dict[str, Any] | None"
    bound_at: "dict[str, Any] | None"
    root: "dict[str, Any] | None"
    waits: "tuple[dict[str, Any], ...] | None"
    caught_at: "dict[str, Any] | None"
    fingerprint: str | None
    hint: str | None

    def __init__(self, **facts: "Any") -> None:
        for name in self.__slots__:
            value = facts.get(name)
            if name in ("chain", "cycle", "waits") and value is not None:
                value = tuple(value)
            object.__setattr__(self, name, value)
        if self.chain is None:
            object.__setattr__(self, "chain", ())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name!r}: a Cause does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: a Cause does not change")

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Cause) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.kind, self.fingerprint))

    def __repr__(self) -> str:
        return f"<Cause {self.kind}: {self.summary}>"

    @classmethod
    def from_dict(cls, data: "dict[str, Any]") -> "Self":
        """Ignores keys that it does not know; raises KeyError without a kind."""
        return cls(**{**data, "kind": data["kind"]})

    def to_dict(self) -> "dict[str, Any]":
        """The contract's shape; absent keys were not observed."""
        out: dict[str, Any] = {}
        for key in ORDER:
            value = getattr(self, key)
            if value is not None and value != ():
                out[key] = list(value) if isinstance(value, tuple) else value
        return out

    def text(self) -> str:
        """The note that a traceback shows."""
        from importtrace.analysis.render import text

        return text(self.to_dict())
