"""Takes a finished start-up out of the process: trace file, log, spans.

``deliver`` is called when the start-up is over (on a thread of ours at the ready mark, or after an
uncaught error), and at exit. At exit the file is written again, whole; spans are sent once; what
was logged before is not repeated. Everything heavy is imported where it is used, after the start-up
that it would slow.
"""

import os
import sys
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from importtrace.config import Config
    from importtrace.exporters.base import Exporter
    from importtrace.records import Trace

# What was logged of each trace, a trace being (pid, start); and one lock a process: a forked
# process reports its own start-up, and must not wait for a thread that it does not have.
_told: "dict[tuple[int, int], set[tuple[Any, ...]]]" = {}
_locks: "dict[int, Any]" = {}


def deliver(trace: "Trace", config: "Config", *, at_exit: bool) -> None:
    """Write, log and send ``trace``; never raises. What is lost is said on stderr, a line each.

    At the ready mark it does not wait for the network, unless the application's own TracerProvider
    does. At exit it takes up to ``config.export_timeout_s`` and the start of a child process.
    """
    _guarded("trace", _deliver_alone, trace, config, at_exit)


def before_fork() -> None:
    """End the thread that minds a sending child, since any live thread makes ``os.fork`` warn.

    To be called when no delivery is under way; the thread comes back by itself after the fork.
    """
    if "importtrace.exporters.child" in sys.modules:
        from importtrace.exporters.child import pause_all

        pause_all()


def _deliver_alone(trace: "Trace", config: "Config", at_exit: bool) -> None:
    lock = _locks.setdefault(os.getpid(), allocate_lock())
    # at exit the thread that delivers the start-up may still be at it
    locked = lock.acquire(timeout=config.export_timeout_s)
    try:
        _deliver(trace, config, at_exit)
    finally:
        if locked:
            lock.release()


def _deliver(trace: "Trace", config: "Config", at_exit: bool) -> None:
    key = (os.getpid(), trace.start_ns)
    first = key not in _told
    told = _told.setdefault(key, set())
    if config.redact:  # before anything else; if it fails, nothing leaves
        from importtrace.exporters.redact import redact

        trace = redact(trace, config.redact, os.path.expanduser("~"))
    if config.file is not None:
        _guarded("trace file", _write_file, trace, config)
    if config.log != "off":
        _guarded("log", _log, trace, config, told)
    if first and config.spans != "off":
        _guarded("spans", _send_spans, trace, config, at_exit)
    if at_exit and "importtrace.exporters.child" in sys.modules:
        from importtrace.exporters.child import finish

        _guarded("spans", finish, config.export_timeout_s)


def _write_file(trace: "Trace", config: "Config") -> None:
    from importtrace.exporters.file import FileExporter

    assert config.file is not None
    _export(FileExporter(config.file), trace, config)


def _log(trace: "Trace", config: "Config", told: "set[tuple[Any, ...]]") -> None:
    from importtrace.exporters.log import LogExporter

    debug = config.log == "debug"
    _export(LogExporter(debug=debug, long_wait_ms=config.long_wait_ms, told=told), trace, config)


def _send_spans(trace: "Trace", config: "Config", at_exit: bool) -> None:
    from importtrace.exporters.environment import otlp_wanted

    provider = _application_provider()
    limits = {"max_spans": config.max_spans, "long_wait_ms": config.long_wait_ms}
    if provider is not None and not _is_shut_down(provider):
        from importtrace.exporters.opentelemetry import ProviderExporter

        timeout_s = config.export_timeout_s
        _export(
            ProviderExporter(provider, os.environ, timeout_s=timeout_s, **limits), trace, config
        )
    elif otlp_wanted(config.spans, os.environ):
        from importtrace.exporters.child import ChildExporter

        child = ChildExporter(timeout_s=config.export_timeout_s, **limits)
        if at_exit:
            _export(child, trace, config)
        else:
            child.export_in_background(trace)
    elif provider is not None:
        from importtrace.config import warn

        warn(
            "spans not sent: the program ended, and the application's TracerProvider is shut down; "
            "call importtrace.mark_ready() as soon as the program has started"
        )


def _export(exporter: "Exporter", trace: "Trace", config: "Config") -> None:
    try:
        exporter.export(trace)
        exporter.flush(config.export_timeout_s)
    finally:
        exporter.close()
    if exporter.loss is not None:
        from importtrace.config import warn

        warn(exporter.loss)


def _guarded(what: str, call: "Callable[..., None]", *arguments: "Any") -> None:
    try:
        call(*arguments)
    except BaseException as error:  # the program's outcome is not ours to change
        from importtrace.config import warn

        reason = " ".join(str(error).split())
        warn(f"{what} not delivered: {type(error).__name__}{': ' if reason else ''}{reason}")


def _application_provider() -> "Any":
    """The TracerProvider that the application has set, or None. Loads nothing."""
    module = sys.modules.get("opentelemetry.trace")
    # get_tracer_provider() would load and set one where OTEL_PYTHON_TRACER_PROVIDER names one
    return getattr(module, "_TRACER_PROVIDER", None)


def _is_shut_down(provider: "Any") -> bool:
    """Whether the program has ended and the SDK's exit handler, which usually precedes ours, ran.

    The start-up may be delivered, by its thread, while a short program ends.
    """
    threading = sys.modules.get("threading")
    ended = threading is not None and not threading.main_thread().is_alive()
    return ended and getattr(provider, "_atexit_handler", provider) is None
