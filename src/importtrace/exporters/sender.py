"""The child process that sends a trace by OTLP, so that the traced one need not import the SDK.

Started by ``child``; on stdin one line of JSON settings (``bytes``, ``max_spans``, ``long_wait_ms``,
``timeout_s``; ``spans`` and ``metrics``: whether to send them; ``waited_for``: the traced process
waits), then a trace file of that many bytes. The environment is the traced process's, as far as it
concerns OpenTelemetry. It writes at most one line, on stderr, and always exits with 0: servers that
reap any child of theirs take other codes for a failed worker.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from importtrace import tracefile
from importtrace.errors import ImportTraceError, MissingDependencyError, TraceFileError
from importtrace.exporters import environment
from importtrace.exporters.answers import Answers, absent
from importtrace.exporters.plan import plan

if TYPE_CHECKING:
    from importtrace.exporters.otlp import OtlpExporter
    from importtrace.records import Trace

_LONGEST_REASON = 300
Say = Callable[[str], None]


def main() -> None:
    """Read, send, say what was lost, exit."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # inherited: SIGTERM may be blocked
    say = _keep_stderr()
    answers = Answers()
    logging.getLogger().addHandler(answers)
    warnings.simplefilter("ignore")
    _describe_the_traced_process_only()
    try:
        settings, text, whole = _receive(sys.stdin.buffer)
        shipment = _Shipment(settings, say, answers)
        # a daemon thread and os._exit: neither a hanging connect nor a join can outlive it
        watchdog = threading.Timer(settings["timeout_s"], shipment.expire)
        watchdog.daemon = True
        watchdog.start()
        shipment.send(text, whole)
    except (ImportTraceError, OSError, ValueError, KeyError) as error:
        say(f"spans not sent: {_one_line(error)}")
    except Exception as error:  # the SDK's own: a malformed OTEL_* value, mostly
        say(
            f"spans not sent: {type(error).__name__}: {_one_line(error)}; "
            "check the OTEL_* variables"
        )
    finally:
        os._exit(0)  # gRPC's threads may take their time


class _Shipment:
    """One trace on its way. ``expire`` runs on the watchdog's thread."""

    def __init__(self, settings: dict[str, Any], say: Say, answers: Answers) -> None:
        self._settings = settings
        self._say = say
        self._answers = answers
        self._exporter: OtlpExporter | None = None
        self._refused = False
        self._once = threading.Lock()

    def send(self, text: str, whole: bool) -> None:
        trace = tracefile.parse(text, "the trace handed over")
        if self._settings["spans"]:
            self._send_spans(trace, whole)
        if self._settings["metrics"] and not self._refused:
            self._send_metrics(trace)

    def _send_spans(self, trace: Trace, whole: bool) -> None:
        otlp = _sdk()
        timeout_s = self._settings["timeout_s"]
        exporter = otlp.OtlpExporter(
            otlp.make_exporter(os.environ, timeout_s, self._answers),
            os.environ,
            max_spans=self._settings["max_spans"],
            long_wait_ms=self._settings["long_wait_ms"],
        )
        self._exporter = exporter
        refusal = self._refusal("TRACES")
        if refusal is not None:
            spans = plan(
                trace,
                max_spans=self._settings["max_spans"],
                long_wait_ms=self._settings["long_wait_ms"],
            )
            exporter.total = len(spans)
            self._lost(refusal)
            return
        exporter.export(trace)
        if not exporter.flush(timeout_s):
            self._lost(self._answers.reason or exporter.loss or "unknown")
        elif self._answers.rejected:
            self._finish(
                f"{self._answers.rejected} of {exporter.total} spans rejected by "
                f"{environment.target(os.environ)}: {_one_line(self._answers.rejected_because)}"
            )
        elif not whole:
            self._finish("spans are incomplete: the process ended while handing its trace over")
        exporter.close()
        _, logs = environment.exception_signals(os.environ)
        if logs and exporter.failures and environment.logs_wanted(os.environ):
            from importtrace.exporters import exceptions

            self._answers.reset()
            loss = exceptions.send(trace, exporter.failures, os.environ, timeout_s)
            if loss is not None:
                reason = _one_line(self._answers.reason or "the exporter gave up")
                self._finish(f"{loss}: {reason}; check the OTEL_EXPORTER_OTLP_LOGS_* variables")

    def _send_metrics(self, trace: Trace) -> None:
        from importtrace.exporters import metrics

        self._answers.reset()
        loss = self._refusal("METRICS")
        if loss is None:
            loss = metrics.send(trace, os.environ, self._settings["timeout_s"])
            loss = loss and (self._answers.reason or loss)
        if loss is not None:
            self._finish(
                f"metrics not sent: {_one_line(loss)}; check the OTEL_EXPORTER_OTLP_* variables "
                "or set OTEL_METRICS_EXPORTER=none"
            )

    def _refusal(self, signal: str) -> str | None:
        """Why nobody takes a connection, where the program waits; None if there is no telling.

        The exporters try on for as long as they may. A program that is about to end does not wait
        for a collector that is not there, though for one that is just being restarted.
        """
        address = environment.address(os.environ, signal)
        if address is None or not self._settings["waited_for"]:
            return None
        reason = None
        for pause_s in (0.0, 0.3, 0.6):
            time.sleep(pause_s)
            reason = absent(address, timeout_s=2.0)
            if reason is None:
                return None
        self._refused = True
        return reason

    def expire(self) -> None:
        self._lost(f"not done within {self._settings['timeout_s']} s", self._answers.reason)
        os._exit(0)

    def _lost(self, *why: str | None) -> None:
        sender = self._exporter
        count = f"{sender.total - sender.sent} of {sender.total} spans" if sender else "spans"
        reason = ": ".join(_one_line(part) for part in why if part)
        self._finish(
            f"{count} not sent to {environment.target(os.environ)}: {reason}; "
            "check the OTEL_EXPORTER_OTLP_* variables or set IMPORTTRACE_SPANS=off; with "
            "IMPORTTRACE_FILE set, importtrace ship sends them later"
        )

    def _finish(self, line: str) -> None:
        if self._once.acquire(blocking=False):  # never released: one line
            self._say(line)


def _receive(source: BinaryIO) -> tuple[dict[str, Any], str, bool]:
    """The settings, the trace, and whether it came whole."""
    settings = json.loads(source.readline() or b"null")
    if not isinstance(settings, dict):
        raise TraceFileError("the process ended before it could hand its trace over")
    data = source.read(settings["bytes"])
    return settings, data.decode("utf-8", "replace"), len(data) == settings["bytes"]


def _sdk() -> Any:
    try:
        from importtrace.exporters import otlp
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenTelemetry cannot be imported by {sys.executable} ({error}); "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp, "
            "or set IMPORTTRACE_SPANS=off"
        ) from error
    return otlp


def _describe_the_traced_process_only() -> None:
    name = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
    if os.environ.get(name):  # "process" would describe this child
        detectors = [part.strip() for part in os.environ[name].split(",")]
        os.environ[name] = ",".join(part for part in detectors if part not in ("process", "*"))


def _keep_stderr() -> Say:
    """A writer of lines to stderr, from which everything else, C libraries included, is cut off."""
    try:
        kept = os.dup(2)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
    except OSError:
        return lambda line: None

    def say(line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(kept, f"importtrace: {line}\n".encode("utf-8", "replace"))

    return say


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
