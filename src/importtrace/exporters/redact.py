"""What must not leave the process is taken out here, once, before any exporter sees the trace.

``redact(trace, {"home"}, "/root")`` returns a trace of the same shape: the same records, ids,
times, module names and fingerprints.

statements  the source text of import statements: absent
messages    the text of exceptions: replaced by ``REDACTED``, also where a summary quotes it
home        home folders (this user's and any ``/home/NAME``, ``/Users/NAME``): ``~``
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from importtrace.records import ImportRecord, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

REDACTED = "<redacted>"
_HOMES = r"/(?:home|Users)/[^/\\:'\"\s]+|[A-Za-z]:[\\/]+Users[\\/]+[^/\\:'\"\s]+"


def redact(trace: Trace, parts: frozenset[str], home: str | None) -> Trace:
    """``trace`` without ``parts``; ``home`` is this user's home folder."""
    if not parts:
        return trace
    records = trace.records
    header = trace.header
    loose = header.get("failures")  # causes of statements that no record stands for
    if loose:
        if "statements" in parts:
            loose = _without_key(loose, "statement")
        if "messages" in parts:
            loose = [_cause_without_messages(cause, _messages(cause)) for cause in loose]
        header = {**header, "failures": loose}
    if "statements" in parts:
        records = tuple(_without_statements(record) for record in records)
    if "messages" in parts:
        records = tuple(_without_messages(record) for record in records)
    if "home" in parts:
        own = re.escape(home.rstrip("/\\")) if home and home.rstrip("/\\") else None
        pattern = re.compile(f"(?:{own}|{_HOMES})(?![\\w.-])" if own else f"(?:{_HOMES})")
        records = tuple(_without_home(record, pattern) for record in records)
        header = _map_strings(header, lambda text: pattern.sub("~", text))
    return Trace(header=header, records=records, problems=trace.problems)


def _without_statements(record: ImportRecord) -> ImportRecord:
    importer = replace(record.importer, statement=None) if record.importer else None
    cause = record.cause and _without_key(record.cause, "statement")
    return replace(record, importer=importer, cause=cause)


def _without_messages(record: ImportRecord) -> ImportRecord:
    if record.error is None and record.cause is None:
        return record
    error, cause = record.error, record.cause
    if cause is not None:
        cause = _cause_without_messages(cause, _messages(error))
    if error is not None and "message" in error:
        error = {**error, "message": REDACTED}
    return replace(record, error=error, cause=cause)


def _cause_without_messages(cause: dict[str, Any], quoted: set[str]) -> dict[str, Any]:
    """``quoted`` is what its summary may quote besides its own messages."""
    quoted = quoted | _messages(cause) | _messages(cause.get("root"))
    # longest first: a line of a message must not break up the message it is part of
    secrets = sorted((text for text in quoted if text), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, secrets)))
    cause = dict(cause)
    for key in ("summary", "hint"):
        if secrets and isinstance(cause.get(key), str):
            cause[key] = pattern.sub(REDACTED, cause[key])
    if "message" in cause:
        cause["message"] = REDACTED
    if isinstance(cause.get("root"), dict) and "message" in cause["root"]:
        cause["root"] = {**cause["root"], "message": REDACTED}
    return cause


def _messages(holder: object) -> set[str]:
    """The message and, as summaries may quote only a part of it, each of its lines."""
    message = holder.get("message") if isinstance(holder, dict) else None
    if not isinstance(message, str):
        return set()
    return {message, *(line.strip() for line in message.splitlines())}


def _without_home(record: ImportRecord, pattern: re.Pattern[str]) -> ImportRecord:
    def clean(text: str) -> str:
        return pattern.sub("~", text)

    importer = record.importer
    if importer is not None and importer.file is not None:
        importer = replace(importer, file=clean(importer.file))
    return replace(
        record,
        importer=importer,
        origin=record.origin and clean(record.origin),
        error=_map_strings(record.error, clean),
        held_by=_map_strings(record.held_by, clean),
        cause=_map_strings(record.cause, clean),
    )


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(item, change) for item in value]
    return value


def _without_key(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without_key(item, name) for key, item in value.items() if key != name}
    if isinstance(value, list | tuple):
        return [_without_key(item, name) for item in value]
    return value
