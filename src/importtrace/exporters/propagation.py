"""Gives the process's children the span of its start-up as their parent, where that was asked for.

    IMPORTTRACE_PROPAGATE=on

Off by default: the context reaches children only through ``os.environ``, which the traced program
sees and may compare, log or pass on, and OpenTelemetry asks that a process treat the context in its
own environment as immutable (specification, "Environment Variables as Context Propagation
Carriers"). An application that wants it for single children puts ``TRACEPARENT`` into the ``env`` of
each. The process that sends our own spans is given nothing: it is traced by nobody.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("TRACEPARENT", "TRACESTATE")
_given: "tuple[int, dict[str, str]] | None" = None  # whose it is, and what was there
_ours = ""


def propagate(start_ns: int) -> None:
    """Put the root span of this process, whose trace begins at ``start_ns``, into its environment."""
    global _given, _ours
    from importtrace.exporters import ids
    from importtrace.exporters.whereabouts import describe

    # a forked process inherits the parent's as set by us: that is what it was given
    _given = os.getpid(), {name: os.environ[name] for name in NAMES if name in os.environ}
    header = describe(os.environ) | {"pid": os.getpid(), "start": start_ns}
    flags = os.environ.get("TRACEPARENT", "").strip()[53:55] if ids.remote(header) else "01"
    context = f"00-{ids.trace_id(header):032x}-{ids.root_id(header):016x}-{flags or '01'}"
    os.environ["TRACEPARENT"] = _ours = context


def withdraw() -> None:
    """Put back what was there, unless somebody has changed it since."""
    global _given
    if _given is not None and _given[0] == os.getpid() and os.environ.get("TRACEPARENT") == _ours:
        for name in NAMES:
            os.environ.pop(name, None)
        os.environ.update(_given[1])
    _given = None


def as_given(environ: "Mapping[str, str]") -> "dict[str, str]":
    """``environ`` with the context that the process was started with."""
    out = dict(environ)
    if _given is not None and _given[0] == os.getpid():
        for name in NAMES:
            out.pop(name, None)
        out.update(_given[1])
    return out
