"""One request at a time to a collector that may be absent, slow, busy or hard to please."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

from importtrace.exporters import environment
from importtrace.exporters.answers import absent
from importtrace.exporters.opentelemetry import uninstrumented

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

    from importtrace.exporters.answers import Answers

TICK_S = 0.1
GRACE_S = 5.0  # for the request under way, when we are to end
LONGEST_PAUSE_S = 15.0
LONGEST_RETRY_AFTER_S = 300.0
# Refused so often, with something that says nothing, it is taken for one that dislikes that.
_UNANSWERABLE = 20


class Stopped(Exception):
    """We are to end, or have waited as long as we were to; ``reason`` is why nothing is sent."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


class Courier:
    """Delivers spans through ``exporter``.

    ``stopping`` is asked often; ``say`` takes one line about an outage and one about its end.
    ``patience_s`` bounds an outage; None: without end.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        answers: Answers,
        environ: Mapping[str, str],
        *,
        stopping: Callable[[], bool],
        say: Callable[[str], None],
        patience_s: float | None,
    ) -> None:
        self._exporter = exporter
        self._answers = answers
        self._address = environment.address(environ)
        self._target = environment.target(environ)
        self._stopping = stopping
        self._say = say
        self._patience_s = patience_s
        self._outage: float | None = None  # since when
        self._failures = 0

    def deliver(
        self, spans: Sequence[ReadableSpan], accepted: Callable[[Sequence[ReadableSpan]], None]
    ) -> list[ReadableSpan]:
        """Send all of ``spans``, calling ``accepted`` with each part as it is; those it refuses.

        A span is given up only if the collector refuses it alone and accepts a request without spans:
        what it refuses then is the span. Raises Stopped.
        """
        refused: list[ReadableSpan] = []
        parts = [list(spans)]
        while parts:
            part = parts.pop()
            if self._send(part):
                accepted(part)
            elif len(part) == 1:
                refused.append(part[0])
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
        return refused

    @property
    def rejected(self) -> int:
        """Spans that the collector took out of requests which it accepted, ever."""
        return self._answers.rejected

    def _send(self, spans: Sequence[ReadableSpan]) -> bool:
        """False: the collector is well, but will not have these."""
        attempts = 0
        while True:
            verdict = self._attempt(spans)
            if verdict == "accepted":
                self._well()
                return True
            attempts += 1
            if verdict == "too_large" and len(spans) > 1:
                self._well()
                return False
            if verdict in ("refused", "too_large"):
                reason = self._answers.reason
                if self._attempt([]) == "accepted" or attempts >= _UNANSWERABLE:
                    self._well()
                    self._say(
                        f"{self._target} refuses {_count(spans)}: {reason or 'it says not why'}"
                    )
                    return False
            self._pause(verdict)

    def _attempt(self, spans: Sequence[ReadableSpan]) -> str:
        """``accepted`` or a verdict of Answers."""
        if self._stopping():
            raise Stopped(None)
        self._answers.reset()
        # sooner known here than by the exporter's own retries
        reason = absent(self._address, timeout_s=5.0) if self._address is not None else None
        if reason is not None:
            self._answers.note(reason)
            return "later"
        return "accepted" if self._export(spans) else self._answers.verdict

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        """On a thread, since neither a hanging connection nor the exporter's own waiting ends for us."""
        outcome: list[Any] = []

        def export() -> None:
            try:
                with uninstrumented():
                    outcome.append(self._exporter.export(spans))
            except Exception as error:  # older exporters raise what they do not retry
                self._answers.note(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=export, name="importtrace-ship", daemon=True)
        thread.start()
        ends_at = None
        while thread.is_alive():
            thread.join(TICK_S)
            if ends_at is None and self._stopping():
                ends_at = time.monotonic() + GRACE_S
            if ends_at is not None and time.monotonic() > ends_at:
                raise Stopped(f"{self._target} has not answered the last request")
        return bool(outcome) and getattr(outcome[0], "name", "") == "SUCCESS"

    def _well(self) -> None:
        if self._outage is not None:
            self._say(
                f"{self._target} takes spans again, after {time.monotonic() - self._outage:.0f} s"
            )
        self._outage = None
        self._failures = 0

    def _pause(self, verdict: str) -> None:
        now = time.monotonic()
        reason = " ".join((self._answers.reason or "no answer").split())[:200]
        if self._outage is None:
            self._outage = now
            hint = "; check address and credentials" if verdict == "denied" else ""
            self._say(f"{self._target} takes no spans ({reason}){hint}; waiting for it")
        left = None
        if self._patience_s is not None:
            left = self._outage + self._patience_s - now
            if left <= 0:
                raise Stopped(f"{self._target} took no spans for {self._patience_s:g} s ({reason})")
        pause = self._pause_s()
        until = now + (pause if left is None else min(pause, left))
        while time.monotonic() < until:
            if self._stopping():
                raise Stopped(f"{self._target} takes no spans ({reason})")
            time.sleep(min(TICK_S, max(0.0, until - time.monotonic())))

    def _pause_s(self) -> float:
        if self._answers.retry_after_s is not None:
            return min(self._answers.retry_after_s, LONGEST_RETRY_AFTER_S)
        self._failures += 1
        # spread: a fleet's shippers must not come back all at once
        return min(LONGEST_PAUSE_S, 0.25 * 2.0 ** min(self._failures, 10)) * random.uniform(
            0.7, 1.0
        )


def _count(spans: Sequence[ReadableSpan]) -> str:
    return f"the span {spans[0].name!r:.80}" if len(spans) == 1 else f"{len(spans)} spans together"
