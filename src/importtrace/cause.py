"""`Cause`: the explanation of one exception, as `explain()` returns it (docs/causes.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an import failed. What was not observed is None.

    `kind` is one of the kinds of docs/causes.md; `root` is where the first failure was raised:
    {"module", "thread", "file", "line", "type", "message"}, each present where known.
    """

    kind: str
    module: str | None = None
    name: str | None = None
    summary: str | None = None
    message: str | None = None
    chain: tuple[dict[str, Any], ...] = ()
    cycle: tuple[dict[str, Any], ...] | None = None
    partial: dict[str, Any] | None = None
    bound_at: dict[str, Any] | None = None
    root: dict[str, Any] | None = None
    waits: tuple[dict[str, Any], ...] | None = None
    caught_at: dict[str, Any] | None = None
    fingerprint: str | None = None
    hint: str | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        known = {key: value for key, value in data.items() if key in cls.__slots__}
        for key in ("chain", "cycle", "waits"):
            if known.get(key) is not None:
                known[key] = tuple(known[key])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The contract's shape; absent keys were not observed."""
        out: dict[str, Any] = {}
        for key in self.__slots__:
            value = getattr(self, key)
            if value is None or value == ():
                continue
            out[key] = list(value) if isinstance(value, tuple) else value
        return out

    def text(self) -> str:
        """The note that a traceback shows."""
        from importtrace.analysis.render import text

        return text(self.to_dict())
