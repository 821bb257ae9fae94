"""What the log tells of a failure: who waited for whom, what was handed out, what failed before.

The recorder's objects in, the values of `analysis.facts` out.
"""

from importtrace._recorder import lines, thread_name
from importtrace.analysis.facts import Earlier, HandOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from importtrace._failures import Caught
    from importtrace._recorder import Load, Recorder, Request, ThreadState
    from importtrace.analysis.facts import Failure


class History:
    """Reads the log of one recorder."""

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder

    def failed_first(self, failure: "Failure", load: "Load") -> None:
        """Newer releases run a failed body again in every thread that waited for it: N equal
        failures, of which one was first."""
        for first in self._recorder.troubled.get(load.name, []):
            if first.thread is load.thread or first.error != load.error:
                continue
            if load.holder is first or any(
                request.of is first and request.thread is load.thread
                for request in self._recorder.requests
            ):
                failure.first = self.as_earlier(first, load.thread)
                return

    def handout(self, request: "Request", state: "ThreadState") -> "HandOut":
        of = request.of
        failed = None
        if of is not None and of.error is not None and of.thread is not state:
            failed = self.as_earlier(of, state)
        return HandOut(
            request.name,
            ref(request.owner) if request.owner is not None else None,
            request.owner is state,
            request.deadlock == "accepted",
            request.wait / 1e6,
            failed,
            *place_of(request),
        )

    def graph(self, request: "Request") -> "list[dict[str, Any]]":
        """Who waited for whom, along the ring that the request closed; else its own wait alone."""
        edges = {
            waiter.serial: (waiter, name, holder, ns)
            for waiter, name, holder, ns in request.graph or ()
            if holder is not None  # it stayed in the process that this one was forked from
        }
        if not edges and request.wait and request.owner is not None:
            edges[request.thread.serial] = (
                request.thread,
                request.name,
                request.owner,
                request.wait,
            )
        waits: list[dict[str, Any]] = []
        edge = edges.pop(request.thread.serial, None)
        while edge is not None:
            waiter, name, holder, ns = edge
            ms = round(ns / 1e6, 3)
            waits.append({"thread": ref(waiter), "for": name, "held_by": ref(holder), "ms": ms})
            edge = edges.pop(holder.serial, None)
        return waits

    def as_earlier(self, load: "Load", state: "ThreadState | None") -> "Earlier":
        file, line = place_of(load)
        caught: Caught = load.failure
        root: dict[str, Any] | None = None
        if caught.cause is not None:
            root = dict(caught.cause["root"])
            if caught.cause.get("cycle"):
                root["cycle"] = caught.cause["cycle"]
        if root is None:
            inner = caught.loads[0]
            module, at, number = caught.place or (inner.importer, *place_of(inner))
            root = {
                "module": module,
                "thread": ref(inner.thread),
                "file": at,
                "line": number,
            }
            root.update(type=caught.type, message=caught.message)
            root = {key: value for key, value in root.items() if value is not None}
        return Earlier(
            load.name, None, file, line, load.importer, ref(load.thread), load.thread is state, root
        )

    def asked_by(self, last: "FrameType | None") -> "ThreadState | None":
        """The thread an exception comes from, by the request that its frame made."""
        if last is not None:
            for request in reversed(self._recorder.requests):
                if request.frame == id(last) and request.where_code == id(last.f_code):
                    return request.thread
        return None


def ref(state: "ThreadState") -> "dict[str, Any]":
    if state.name is None:
        state.name = thread_name(state.ident)
    return {"id": state.ident, "name": state.name}


def place_of(record: "Load | Request") -> "tuple[str | None, int]":
    """File and line of the importer; 0 where the line is not known."""
    where: Any = record.where
    if type(where) is not tuple:
        return where, record.line
    found = _lines.get(where)
    if found is None:
        if len(_lines) >= MOST_BODIES:
            _lines.clear()
        found = _lines[where] = list(lines(where))
    low, high = 0, len(found)
    while low < high:  # `bisect`, which the program may not have loaded
        middle = (low + high) // 2
        if found[middle][1] <= record.line:
            low = middle + 1
        else:
            high = middle
    return where[0], (found[low][2] or 0) if low < len(found) else 0


MOST_BODIES = 16  # the records of one body come close together, and their lists are long
_lines: "dict[tuple[str, bytes, int], list[tuple[int, int, int | None]]]" = {}
