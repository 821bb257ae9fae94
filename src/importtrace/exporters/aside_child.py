"""The child process that delivers a trace in the place of the traced one; started by ``aside``.

``given`` is what ``aside.deliver`` packed. The answer, on stdout, is a marshalled dict: ``said``, the
text for the traced process's stderr, and ``told``, the keys of the events in it. Always exits with 0:
servers that reap any child of theirs take other codes for a failed worker.
"""

from __future__ import annotations

import io
import marshal
import os
import sys
from typing import Any

from importtrace import exporters
from importtrace.config import Config, warn
from importtrace.records import ImportRecord, Trace


def main(given: dict[str, Any]) -> None:
    """Deliver, answer, exit."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what anything prints is no answer
    sys.stderr = said = io.StringIO()
    told = set(given["told"])
    try:
        config = Config()
        for name, value in given["config"].items():
            setattr(config, name, value)
        trace = rebuilt(given["header"], given["records"])
        # the traced process waits for this one, so this one waits for what it sends
        exporters.deliver_told(trace, config, told, first=given["first"])
    except Exception as error:
        warn(f"the trace was not delivered ({type(error).__name__}: {error})")
    finally:
        packed = memoryview(marshal.dumps({"said": said.getvalue(), "told": told}))
        while packed:
            packed = packed[os.write(answer, packed) :]
        os._exit(0)


def rebuilt(header: dict[str, Any], lines: list[dict[str, Any]]) -> Trace:
    """The trace that ``_snapshot.Plain`` stands for; what is not as it should be is in ``problems``."""
    records = []
    problems = []
    for line in lines:
        try:
            records.append(ImportRecord.from_dict(line))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"import {line.get('id')}: not a record ({error})")
    return Trace(header=header, records=tuple(records), problems=tuple(problems))
