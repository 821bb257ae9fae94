"""``importtrace ship``: arguments, signals, lines, exit code."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from importtrace.config import resolve
from importtrace.errors import ImportTraceError, MissingDependencyError, ShippingError
from importtrace.exporters import environment
from importtrace.exporters.answers import Answers

if TYPE_CHECKING:
    from types import FrameType

    from importtrace.shipping.rounds import Totals

ALL_SPANS = 1 << 40
REQUEST_S = 60.0
WAIT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command ``ship``."""
    parser.add_argument(
        "paths", nargs="+", metavar="TRACE|DIR", help="trace or spool files, or folders of them"
    )
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--once", action="store_true", help="send what is there, then end (the default)"
    )
    when.add_argument(
        "--follow", action="store_true", help="go on with what comes, until interrupted"
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="where to note what was sent (default: .importtrace-ship beside the traces)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        metavar="SECONDS",
        help=f"how long to wait for a collector that takes nothing (default {WAIT_S:g}; "
        "with --follow: without end)",
    )
    parser.add_argument(
        "--interval",
        type=_seconds,
        default=1.0,
        metavar="SECONDS",
        help="with --follow: how often to look (default 1)",
    )
    parser.add_argument(
        "--max-spans",
        type=_count,
        default=ALL_SPANS,
        metavar="N",
        help="the most spans of one trace; the rest becomes counts on them (default: all)",
    )
    parser.add_argument(
        "--json", action="store_true", help="at the end, what was done as a JSON object on stdout"
    )


def main(given: argparse.Namespace) -> int:
    """0 when all is sent, 2 when something is left or could not be sent, 130 and 143 after a signal."""
    _check_environment()
    stop = _Stop()
    answers = Answers()
    root = logging.getLogger()
    root.addHandler(answers)
    warnings.simplefilter("ignore")
    status = 0
    reason: str | None = None
    try:
        rounds_module, courier_module, otlp = _sdk()
        from importtrace.shipping.positions import FOLDER, Positions
        from importtrace.shipping.sources import look

        if not given.follow:
            for path in given.paths:
                look(path)  # raises where there is no trace
        positions = Positions(given.state or os.path.join(_folder(given.paths[0]), FOLDER))
        wait_s = given.wait if given.wait is not None else (None if given.follow else WAIT_S)
        courier = courier_module.Courier(
            _exporter(otlp, answers),
            answers,
            os.environ,
            stopping=lambda: stop.signal is not None,
            say=_say,
            patience_s=wait_s,
        )
        rounds = rounds_module.Rounds(
            given.paths,
            positions,
            courier,
            max_spans=given.max_spans,
            long_wait_ms=resolve({}, os.environ).long_wait_ms,
            follow=given.follow,
            out=(lambda line: None) if given.json else _out,
            say=_say,
        )
        with stop:
            try:
                rounds.once()
                while given.follow:
                    stop.sleep(given.interval)
                    rounds.once()
            except courier_module.Stopped as stopped:
                reason = stopped.reason
                status = 2
        positions.close()
    finally:
        root.removeHandler(answers)
    if stop.signal is not None:
        status = 128 + stop.signal
    return _end(rounds.totals, answers, given, status, reason)


def _end(
    totals: Totals, answers: Answers, given: argparse.Namespace, status: int, reason: str | None
) -> int:
    if status:
        more = f" and {totals.uncounted:,} more files" if totals.uncounted else ""
        left = f"{totals.left:,} spans{more} left" if totals.left or more else "nothing left"
        why = f": {reason}" if reason else ""
        how = "interrupted" if status > 128 else "not all sent"
        _say(
            f"{how}{why}; {totals.sent:,} spans sent, {left}"
            + ("; run it again to send them" if totals.left or more else "")
        )
    if answers.rejected:
        _say(
            f"the collector took {answers.rejected:,} spans out of what it accepted: "
            f"{answers.rejected_because}"
        )
    if totals.refused:
        _say(f"the collector refused {totals.refused:,} spans for good; the root spans say so")
    if given.json:
        print(
            json.dumps(
                {
                    "traces": totals.traces,
                    "sent": totals.sent,
                    "left": totals.left,
                    "refused": totals.refused,
                    "rejected": answers.rejected,
                    "lost": totals.lost,
                    "unreadable": totals.unreadable,
                    "reason": reason,
                }
            )
        )
    elif not status and not totals.sent and not given.follow and not totals.unreadable:
        _out("nothing to send: no trace, or all of it was sent before")
    return status or (2 if totals.unreadable or totals.refused or answers.rejected else 0)


class _Stop:
    """SIGINT and SIGTERM end what is under way, then us."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before.append((number, signal.signal(number, self._note)))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def sleep(self, seconds: float) -> None:
        """Raises Stopped when a signal came."""
        from importtrace.shipping.courier import TICK_S, Stopped

        until = time.monotonic() + seconds
        while self.signal is None and time.monotonic() < until:
            time.sleep(min(TICK_S, max(0.0, until - time.monotonic())))
        if self.signal is not None:
            raise Stopped(None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt  # whoever asks twice does not want to wait
        self.signal = number


def _check_environment() -> None:
    if not environment.otlp_wanted("on", os.environ):
        raise ShippingError(
            "OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER switches the OTLP exporter off; unset it to ship"
        )


def _sdk() -> tuple[Any, Any, Any]:
    try:
        from importtrace.exporters import otlp
        from importtrace.shipping import courier, rounds
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenTelemetry cannot be imported by {sys.executable} ({error}); "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp"
        ) from error
    return rounds, courier, otlp


def _exporter(otlp: Any, answers: Answers) -> Any:
    try:
        return otlp.make_exporter(os.environ, REQUEST_S, answers)
    except ImportTraceError:
        raise
    except Exception as error:  # the SDK's own, for a malformed value
        reason = " ".join(str(error).split())
        raise ShippingError(
            f"cannot ship ({type(error).__name__}: {reason}); check the OTEL_* variables"
        ) from error


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path) or "."


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of spans")
    return int(text)


def _out(line: str) -> None:
    print(line, flush=True)


def _say(line: str) -> None:
    print(f"importtrace: {line}", file=sys.stderr, flush=True)
