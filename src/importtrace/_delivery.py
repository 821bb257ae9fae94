"""Where a trace goes: the file, the log, the spans. After the start-up, at exit, or while an import hangs.

`take(plain)` makes the trace: a `Trace`, or a `_snapshot.Plain` where what a `Trace` needs is a
standard module that a file of the user's hides. `path(pid)` is the trace file, None for none.
Stdlib-free until that is known.
"""

import sys

from importtrace._shadowing import in_front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from importtrace.config import Config

    Take = Callable[[bool], Any]
    PathOf = Callable[[int], str | None]


def deliver(
    take: "Take", config: "Config", path: "PathOf", environ: "Mapping[str, str]", at_exit: bool
) -> None:
    """To everything that is configured; nothing is put together where nobody asked for anything."""
    if not _wanted(config, environ):
        return
    from importtrace.exporters import deliver, deliver_aside

    try:
        hidden = in_front()
        trace = take(hidden is not None)
        config.file = path(trace.header["pid"])
        if hidden is None:
            deliver(trace, config, at_exit=at_exit)
        else:
            deliver_aside(trace, config, hidden)
    finally:
        _keep_interrupt()


def write(take: "Take", config: "Config", path: "PathOf") -> None:
    """The trace file alone, as it is now."""
    hidden = in_front() is not None
    trace = take(hidden)
    file = path(trace.header["pid"])
    if file is None:
        return
    if hidden:
        from importtrace.exporters import aside

        aside.write(trace, file, config)
        return
    from importtrace.exporters.file import FileExporter

    if config.redact:
        from os.path import expanduser

        from importtrace.exporters.redact import redact

        trace = redact(trace, config.redact, expanduser("~"))
    FileExporter(file).export(trace)


def process_facts(mode: str, environ: "Mapping[str, str]") -> "dict[str, Any]":
    """What the first line of a spool says of this process."""
    from importtrace.exporters.declared import declared

    system: Any = sys.modules.get("posix") or sys.modules.get("nt")
    host = system.uname().nodename if hasattr(system, "uname") else None
    argv = getattr(sys, "argv", None)
    return declared(environ, host) | {
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "platform": sys.platform,
        "pid": system.getpid(),
        "parent_pid": system.getppid(),
        "argv0": argv[0] if argv else "",
        "mode": mode,
    }


def _wanted(config: "Config", environ: "Mapping[str, str]") -> bool:
    if config.file is not None or config.log != "off" or config.spans == "on":
        return True
    provider = getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None)
    return config.spans == "auto" and (
        provider is not None
        or any(
            name.startswith(("OTEL_EXPORTER_OTLP", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"))
            for name in environ
        )
    )


def _keep_interrupt() -> None:
    """CPython ends by SIGINT if the last text that it ran was interrupted (run_eval_code_obj), and
    forgets it when text is run afterwards; delivering runs some, dataclasses are made so."""
    if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass
