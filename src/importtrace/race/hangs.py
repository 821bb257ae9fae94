"""A run that did not end: who holds what, who waits for whom, and whether it ever could have ended. Pure.

What comes in is `_stacks.stopped`: one dict per thread that had not ended.
"""

from __future__ import annotations

import hashlib
import re
import sys
from typing import Any

from importtrace.race.outcome import DEADLOCK, TIMEOUT

_CRASH_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')


def verdict(said: str, stuck: list[dict[str, Any]]) -> str:
    """deadlock if each thread waits for another one; the child says so itself where it can be sure."""
    if said == DEADLOCK:
        return DEADLOCK
    if any(thread.get("owner_gone") for thread in stuck):
        return DEADLOCK
    waits = any(thread.get("for") for thread in stuck)
    idle = all(thread.get("for") or thread.get("asleep") for thread in stuck)
    return DEADLOCK if stuck and waits and idle else TIMEOUT


def doing(thread: dict[str, Any]) -> str:
    """What it was at, in words."""
    at = _place(thread)
    if thread.get("for"):
        holder = thread["held_by"]
        if thread.get("owner_gone"):
            held = "held by a thread that does not exist in this process"
        elif holder:
            held = f"held by thread {holder}"
        else:
            held = "held by a thread that is not an entry"
        return f"waits for {thread['for']}, {held}{at}"
    if thread.get("asleep"):
        return f"is blocked{at}"
    if thread["state"] == "ready":
        return f"stands{at or ' before its first import'}"
    return f"runs{at}"


def _name(thread: dict[str, Any]) -> str:
    return f"thread {thread['thread']}" if thread["thread"] else "a forked process"


def forked(words: str) -> list[dict[str, Any]]:
    """What processes that the target forked have said, see `_stacks.orphaned`; in the same shape."""
    found = []
    for line in words.splitlines():
        parts = line.split("\t")
        if len(parts) == 4 and parts[0] == "orphaned" and parts[3].isdigit():
            found.append(
                {
                    "thread": 0,
                    "entry": "",
                    "state": "waiting",
                    "holds": [],
                    "stack": [(parts[2], int(parts[3]), "")] if parts[2] else [],
                    "for": parts[1],
                    "held_by": 0,
                    "owner_gone": True,
                }
            )
    return found[:20]


def _place(thread: dict[str, Any]) -> str:
    """Where in the program: below it may be the standard library, waiting on its behalf."""
    shown = [frame for frame in thread["stack"] if not frame[0].startswith("<")]
    theirs = [frame for frame in shown if frame[2].partition(".")[0] not in sys.stdlib_module_names]
    if not shown:
        return ""
    file, line, _ = (theirs or shown)[-1]
    return f" at {file}, line {line}"


def message(outcome: str, stuck: list[dict[str, Any]]) -> str:
    text = "; ".join(f"{_name(thread)} {doing(thread)}" for thread in stuck)
    return text or ("nothing can go on" if outcome == DEADLOCK else "had not ended")


def cause(outcome: str, stuck: list[dict[str, Any]]) -> dict[str, Any] | None:
    """`lock_order` or `orphaned_lock` in the contract's shape; None where nobody waits for a module."""
    waiting = [thread for thread in stuck if thread.get("for")]
    if not waiting or outcome != DEADLOCK:
        return None
    first = next((thread for thread in waiting if thread.get("owner_gone")), waiting[0])
    orphaned = bool(first.get("owner_gone"))
    blocked = [thread for thread in stuck if not thread.get("for") and thread.get("asleep")]
    waits = [
        {
            "thread": _thread(thread["thread"]),
            "for": thread["for"],
            "held_by": _thread(thread["held_by"]),
        }
        for thread in waiting
    ]
    told = message(outcome, [*waiting, *blocked])
    found: dict[str, Any] = {
        "kind": "orphaned_lock" if orphaned else "lock_order",
        "module": first["for"],
        "summary": f"nobody can go on: {told}",
        "chain": [
            {"module": module, "file": file, "line": line, "thread": _thread(first["thread"])}
            for file, line, module in first["stack"]
        ],
        "waits": waits,
    }
    if orphaned:
        found["hint"] = (
            "import it before the fork, or start the process by spawn: a thread that was importing it "
            "is not in the new process, and its lock stays taken there"
        )
    elif blocked:
        found["hint"] = (
            "do not wait for another thread, or take a lock that importing code also takes, "
            "while a module's body runs"
        )
    else:
        found["hint"] = "import these modules in one order, or once in the main thread beforehand"
    parts = [found["kind"], *sorted(f"{w['for']}" for w in waits)]
    parts += sorted(f"{t['stack'][-1][2]}" for t in blocked if t["stack"])
    found["fingerprint"] = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return found


def _thread(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"thread {number}" if number else "a thread that is no entry"}


def crash_frames(text: str) -> list[tuple[str, int, str]]:
    """(file, line, function), outermost first, of the first thread that faulthandler wrote down."""
    found = []
    for line in text.splitlines():
        match = _CRASH_FRAME.match(line)
        if match is not None:
            found.append((match[1], int(match[2]), match[3]))
        elif found:
            break
    return [
        frame
        for frame in reversed(found)
        if not frame[0].startswith("<") and "/importtrace/race/" not in frame[0]
    ]
