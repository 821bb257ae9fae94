"""Ids of spans that follow from the trace, so that whoever sends it, and however often, uses the same.

A collector that is sent a span twice (the answer to the first request was lost) can tell; a log line
can name a span that another process has yet to send; a restarted sender goes on where it was.

A trace's identity is its process: host, pid, begin. A record's is what no later snapshot of that
process changes: kind, thread, begin, module. Its number is not: a later snapshot numbers anew.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from importtrace.records import ImportRecord

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def identity(header: Mapping[str, Any]) -> bytes:
    """32 bytes, uniformly distributed, equal for all snapshots of one process."""
    place = header.get("host", ""), header.get("pid", ""), header.get("start", "")
    return sha256("\0".join(map(str, place)).encode("utf-8", "replace")).digest()


def trace_id(header: Mapping[str, Any]) -> int:
    """That of the process's parent, where the header has one; else its own."""
    given = remote(header)
    # 0 means "no trace"; nobody will ever see that happen
    return given[0] if given else int.from_bytes(identity(header)[:16]) or 1


def root_id(header: Mapping[str, Any]) -> int:
    """The span of the whole start-up."""
    return int.from_bytes(identity(header)[16:24]) or 1


def remote(header: Mapping[str, Any]) -> tuple[int, int] | None:
    """Trace and span in the header's ``traceparent``; None if absent or malformed."""
    found = _TRACEPARENT.fullmatch(str(header.get("traceparent", "")).strip())
    if found is None:
        return None
    trace, span = int(found[1], 16), int(found[2], 16)
    return (trace, span) if trace and span else None


def forked_from(header: Mapping[str, Any]) -> tuple[int, int] | None:
    """Trace and root span of the process that this one was forked from; None if it was not, or if that
    span is its parent anyway."""
    given = header.get("parent_trace")
    if not isinstance(given, dict) or not {"pid", "start"} <= given.keys():
        return None
    parent = {key: header[key] for key in ("host", "traceparent") if key in header}
    parent |= {"pid": given["pid"], "start": given["start"]}
    found = trace_id(parent), root_id(parent)
    return None if found == remote(header) else found


def span_ids(header: Mapping[str, Any], records: Iterable[ImportRecord]) -> dict[int, int]:
    """Record id -> span id."""
    base = identity(header)
    used: dict[str, int] = {}
    out = {}
    for record in records:
        thread = record.thread
        key = f"{record.kind}\0{thread.serial}\0{record.start_ns}\0{record.module}"
        count = used[key] = used.get(key, 0) + 1
        text = f"{key}\0{count}".encode("utf-8", "surrogatepass")
        out[record.id] = int.from_bytes(sha256(base + text).digest()[:8]) or 1
    return out
