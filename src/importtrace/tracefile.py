"""Traces on disk: JSON Lines, UTF-8, the header first (docs/trace-file.md is the contract).

Reading is forgiving where the contract says so: unknown keys are ignored, a truncated last line is
what a crash leaves behind. Everything else that is wrong is either an error (not a trace at all) or
is listed in ``Trace.problems``.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from importtrace.errors import TraceFileError
from importtrace.records import SCHEMA, ImportRecord, Trace


def dumps(trace: Trace) -> str:
    """The trace as the text of a file."""
    lines = [trace.header, *(record.to_dict() for record in trace.records)]
    # ASCII: paths may hold lone surrogates and line separators, which only escapes carry safely
    return "".join(json.dumps(line, default=str) + "\n" for line in lines)


def write(trace: Trace, path: str) -> None:
    """Write ``path`` whole or not at all; raises OSError.

    A reader never meets a half-written file, and a full disk leaves what stood there before. A link
    stays one, and what is no file (/dev/null, a pipe) is written to, not replaced.
    """
    if _is_stream(path):
        _write_stream(path, dumps(trace).encode())
        return
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(dumps(trace))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _is_stream(path: str) -> bool:
    if os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return True  # even where a file is behind it: somebody has it open
    return os.path.exists(path) and not os.path.isfile(path)


def _write_stream(path: str, data: bytes) -> None:
    # a pipe that nobody reads must not hold the program up
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def read(path: str) -> Trace:
    """The trace in ``path``; raises TraceFileError with one line that says what to do."""
    from importtrace import spool  # who only writes needs none of it

    try:
        with open(path, "rb") as file:
            spooled = spool.is_spool(file.read(32))
        if spooled:
            return spool.read(path)
        with open(path, encoding="utf-8", errors="replace") as source:
            text = source.read()
    except OSError as error:
        raise TraceFileError(f"cannot read {path!r}: {error.strerror}; check the path") from error
    return parse(text, path)


def parse(text: str, name: str) -> Trace:
    """As ``read``, from text; ``name`` is used in messages."""
    if not text.strip():
        raise TraceFileError(
            f"{name!r} is empty: the process has not written its trace, or was killed; "
            'make one with "importtrace run -o FILE …"'
        )
    # not splitlines(): other writers may leave U+2028 and its like unescaped in a string
    lines = text.removesuffix("\n").split("\n")
    header = _object(lines[0])
    if header is None or header.get("type") != "trace" or not isinstance(header.get("start"), int):
        raise TraceFileError(
            f"{name!r} is not an importtrace file: its first line is no trace header; "
            'make one with "importtrace run -o FILE …"'
        )
    if header.get("schema") != SCHEMA:
        raise TraceFileError(
            f"{name!r} has schema {header.get('schema')!r}, this importtrace reads {SCHEMA}; "
            "use the version that wrote it"
        )
    records: list[ImportRecord] = []
    problems: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        data = _object(line)
        if data is None:
            last = number == len(lines)
            problems.append(
                f"line {number}: truncated, the process ended while writing"
                if last
                else f"line {number}: not a JSON object"
            )
            continue
        if data.get("type") != "import":
            continue  # readers ignore what they do not know
        try:
            records.append(ImportRecord.from_dict(data))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problems.append(f"line {number}: not an import record ({error})")
    return Trace(header=header, records=tuple(records), problems=tuple(problems))


def _object(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
