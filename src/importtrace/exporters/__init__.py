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
    _guarded("trace", _deliver_alone, _deliver, trace, config, at_exit)


def deliver_aside(trace: "Any", config: "Config", hidden: tuple[str, str]) -> None:
    """As ``deliver``, of a ``_snapshot.Plain``, from a child process, which is waited for.

    Imports nothing of the standard library: ``hidden`` is a module of it that cannot be had here, and
    the user's file that stands in front of it.
    """

    def aside(trace: "Any", config: "Config", at_exit: bool) -> None:
        from importtrace.exporters.aside import AsideError, deliver

        told, first = _told_of(trace.header["start"])
        try:
            deliver(trace, config, told, first=first)
        except AsideError as error:
            from importtrace.config import warn

            name, file = hidden
            warn(
                f"the trace was not delivered: {file} hides the standard module {name!r}, and {error}; "
                "rename that file"
            )

    _guarded("trace", _deliver_alone, aside, trace, config, True)


def deliver_told(
    trace: "Trace", config: "Config", told: "set[tuple[Any, ...]]", *, first: bool
) -> None:
    """As ``deliver``; ``told`` is what was logged of the trace, to which is added, and ``first`` whether
    this is its first delivery. For a process that stands in for the traced one."""
    _guarded("trace", _deliver_told, trace, config, True, told, first)


def before_fork() -> None:
    """End the thread that minds a sending child, since any live thread makes ``os.fork`` warn.

    To be called when no delivery is under way; the thread comes back by itself after the fork.
    """
    if "importtrace.exporters.child" in sys.modules:
        from importtrace.exporters.child import pause_all

        pause_all()


def _deliver_alone(
    call: "Callable[[Any, Config, bool], None]", trace: "Any", config: "Config", at_exit: bool
) -> None:
    lock = _locks.setdefault(os.getpid(), allocate_lock())
    # at exit the thread that delivers the start-up may still be at it
    locked = lock.acquire(timeout=config.export_timeout_s)
    try:
        call(trace, config, at_exit)
    finally:
        if locked:
            lock.release()


def _told_of(start_ns: int) -> "tuple[set[tuple[Any, ...]], bool]":
    """What was logged of this process's trace, and whether nothing was delivered of it yet."""
    key = (os.getpid(), start_ns)
    first = key not in _told
    return _told.setdefault(key, set()), first


def _deliver(trace: "Trace", config: "Config", at_exit: bool) -> None:
    told, first = _told_of(trace.start_ns)
    _deliver_told(trace, config, at_exit, told, first)


def _deliver_told(
    trace: "Trace", config: "Config", at_exit: bool, told: "set[tuple[Any, ...]]", first: bool
) -> None:
    trace = _placed(trace)
    if config.redact:  # before anything else; if it fails, nothing leaves
        from importtrace.exporters.redact import redact

        trace = redact(trace, config.redact, os.path.expanduser("~"))
    if config.file is not None:
        _guarded("trace file", _write_file, trace, config)
    if config.log != "off":
        _guarded("log", _log, trace, config, told, first)
    if first and config.spans != "off":
        _guarded("spans", _send, trace, config, at_exit)
    if at_exit and "importtrace.exporters.child" in sys.modules:
        from importtrace.exporters.child import finish

        _guarded("spans", finish, config.export_timeout_s)


def _write_file(trace: "Trace", config: "Config") -> None:
    from importtrace.exporters.file import FileExporter

    assert config.file is not None
    _export(FileExporter(config.file), trace, config)


def _placed(trace: "Trace") -> "Trace":
    """With what is known of where it ran; the header is the snapshot's, which others may hold."""
    header = dict(trace.header)
    try:
        from importtrace.exporters.propagation import as_given
        from importtrace.exporters.whereabouts import describe
        from importtrace.records import Trace

        for key, value in describe(as_given(os.environ)).items():
            header.setdefault(key, value)
        return Trace(header=header, records=trace.records, problems=trace.problems)
    except Exception:  # it explains and is sent without
        return trace


def _log(trace: "Trace", config: "Config", told: "set[tuple[Any, ...]]", first: bool) -> None:
    from importtrace.exporters.log import LogExporter

    debug = config.log == "debug"
    correlate = None
    try:
        if config.spans != "off" and _spans_wanted(config):
            from importtrace.exporters.correlation import Correlation

            correlate = Correlation(
                trace, max_spans=config.max_spans, long_wait_ms=config.long_wait_ms, new=first
            )
    except Exception:  # a line without ids is better than none
        pass
    _export(
        LogExporter(debug=debug, long_wait_ms=config.long_wait_ms, told=told, correlate=correlate),
        trace,
        config,
    )


def _spans_wanted(config: "Config") -> bool:
    """Whether spans are sent, with ids of ours."""
    from importtrace.exporters.environment import otlp_wanted

    provider = _application_provider()
    if provider is not None and not _is_shut_down(provider):
        from importtrace.exporters.opentelemetry import has_our_ids

        return has_our_ids(provider)
    return otlp_wanted(config.spans, os.environ)


def _send(trace: "Trace", config: "Config", at_exit: bool) -> None:
    """Spans and metrics: through the application's providers, and by a child process where it has
    none and OTLP is configured."""
    from importtrace.exporters.environment import metrics_wanted, otlp_wanted

    provider = _application_provider()
    usable = provider is not None and not _is_shut_down(provider)
    if usable:
        _guarded("spans", _through_provider, provider, trace, config)
    spans = not usable and otlp_wanted(config.spans, os.environ)
    if provider is not None and not usable and not spans:
        from importtrace.config import warn

        warn(
            "spans not sent: the program ended, and the application's TracerProvider is shut down; "
            "call importtrace.mark_ready() as soon as the program has started"
        )
    meters = _provider("opentelemetry.metrics._internal", "_METER_PROVIDER")
    metrics = meters is None and metrics_wanted(config.spans, os.environ)
    if meters is not None:
        _guarded("metrics", _through_meters, meters, trace)
    if not spans and not metrics:
        return
    from importtrace.exporters.child import ChildExporter

    child = ChildExporter(
        timeout_s=config.export_timeout_s,
        max_spans=config.max_spans,
        long_wait_ms=config.long_wait_ms,
        spans=spans,
        metrics=metrics,
    )
    if at_exit:
        _export(child, trace, config)
    else:
        child.export_in_background(trace)


def _through_provider(provider: "Any", trace: "Trace", config: "Config") -> None:
    from importtrace.exporters.environment import exception_signals
    from importtrace.exporters.opentelemetry import ProviderExporter

    events, logs = exception_signals(os.environ)
    exporter = ProviderExporter(
        provider,
        max_spans=config.max_spans,
        long_wait_ms=config.long_wait_ms,
        timeout_s=config.export_timeout_s,
        exceptions=events,
        loggers=_provider("opentelemetry._logs._internal", "_LOGGER_PROVIDER") if logs else None,
    )
    _export(exporter, trace, config)


def _through_meters(provider: "Any", trace: "Trace") -> None:
    """The application's reader collects them when it is time; nothing is flushed."""
    from importtrace.exporters.metrics import measure
    from importtrace.exporters.opentelemetry import SCOPE, version

    measure(provider.get_meter(SCOPE, version() or ""), trace)


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
    return _provider("opentelemetry.trace", "_TRACER_PROVIDER")


def _provider(module: str, name: str) -> "Any":
    # get_tracer_provider() and its like would load and set one where OTEL_PYTHON_* names one
    return getattr(sys.modules.get(module), name, None)


def _is_shut_down(provider: "Any") -> bool:
    """Whether the program has ended and the SDK's exit handler, which usually precedes ours, ran.

    The start-up may be delivered, by its thread, while a short program ends.
    """
    threading = sys.modules.get("threading")
    ended = threading is not None and not threading.main_thread().is_alive()
    return ended and getattr(provider, "_atexit_handler", provider) is None
