"""What a benchmark gives back, and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


class Missing(Exception):
    """This machine lacks what the benchmark needs; the message says what, and how to get it."""


class MeasuresNothing(Exception):
    """The measured program did not do what it is measured for."""


@dataclass(frozen=True, slots=True)
class Result:
    """One number. ``target`` is an upper bound; None: for information, nothing is promised.

    ``beside`` holds what else was measured in the same way in the same run, in the same unit.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    beside: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "ok" if self.value <= self.target else "MISSED"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict or None}


def number(value: float | None, unit: str) -> str:
    """A value with as many digits as it deserves."""
    if value is None:
        return ""
    if unit == "ratio":
        return f"{value:.4f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def table(results: list[Result], missing: list[str]) -> str:
    """All of it for a terminal of 100 columns."""
    rows = [("", "value", "target", "", "unit", "beside it")]
    for result in results:
        beside = ", ".join(f"{k} {number(v, result.unit)}" for k, v in result.beside.items())
        value, target = (number(x, result.unit) for x in (result.value, result.target))
        rows.append((result.name, value, target, result.verdict, result.unit, beside))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row, note in zip(rows, ["", *(result.note for result in results)], strict=True):
        name, value, target, verdict, unit = (
            text.rjust(width) if column in (1, 2) else text.ljust(width)
            for column, (text, width) in enumerate(zip(row[:5], widths, strict=True))
        )
        lines.append(f"{name}  {value}  {target}  {verdict}  {unit}  {row[5]}".rstrip())
        if note:
            lines.append(f"    {note}")
    lines.extend(f"not measured: {reason}" for reason in missing)
    return "\n".join(lines)
