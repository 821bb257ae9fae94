"""What other threads were doing when a name, or a module, was not there yet. Pure.

A module that makes its names when they are asked for (PEP 562) can be caught in the middle of that by a
second thread. Nothing about it is half-built as far as the import system knows, so the trace alone says
`missing_name`. So can a module be that its package puts into `sys.modules`: `not_found`. That the same
imports work in one thread, and where the other threads stood, tells more.
"""

from __future__ import annotations

from typing import Any


def told(cause: dict[str, Any] | None, others: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The cause, with what the other threads were at; `others` as `_stacks.stopped` has them.

    Only `missing_name` and `not_found` change: no version of a distribution, and no installation, is to
    blame where it works in one thread.
    """
    if cause is None or not others:
        return cause
    if cause.get("kind") == "not_found":
        return _not_there_yet(cause, others)
    if cause.get("kind") != "missing_name":
        return cause
    module, name = cause.get("module"), cause.get("name")
    for other in others:
        found = [frame for frame in other["stack"] if frame[2] == module and frame[0][:1] != "<"]
        if not found:
            continue
        file, line, _ = found[-1]
        who = {"id": other["thread"], "name": f"thread {other['thread']}"}
        at_work = _above(other["stack"], found[-1])
        building = f", while it imports {at_work}" if at_work else ""
        return cause | {
            "summary": f"{module} has no {name!r} yet: {who['name']} is inside {module}, at line {line}"
            f"{building}, and has not come to set its names; this thread was not made to wait for it",
            "partial": {
                "module": module,
                "held_by": {"thread": who, "module": module, "file": file, "line": line},
            },
            "hint": f"say that {module} is ready only after its names are there; a plain import in place "
            "of a flag makes the second thread wait",
        }
    return cause | {
        "hint": "in one thread the name is there: look at what binds it, and whether another thread "
        "may be in the middle of that"
    }


def _not_there_yet(cause: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    module = str(cause.get("module"))
    package = module.rpartition(".")[0]
    for other in others:
        found = [frame for frame in other["stack"] if frame[2] == package and frame[0][:1] != "<"]
        if package and found:
            file, line, _ = found[-1]
            who = {"id": other["thread"], "name": f"thread {other['thread']}"}
            return cause | {
                "summary": f"there is no {module} yet: it is there once {package} has been imported, and "
                f"{who['name']} is still at line {line} of that",
                "partial": {
                    "module": package,
                    "held_by": {"thread": who, "module": package, "file": file, "line": line},
                },
                "hint": f"import {package} once, in one thread, before the threads start",
            }
    return cause


def _above(stack: list[Any], frame: Any) -> str | None:
    """The module whose code runs above that frame."""
    above = stack[len(stack) - stack[::-1].index(frame) :]
    names = [one[2] for one in above if one[2] != frame[2]]
    return names[0] if names else None
