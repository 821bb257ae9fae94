"""What is done with each answer of a collector, without a network."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from importtrace.exporters.answers import Answers
from importtrace.shipping import courier as module
from importtrace.shipping.courier import Courier, Stopped

# a way that has no address to try first
NOWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock"}


def _span(name):
    return SimpleNamespace(name=name)


class Exporter:
    """Answers each request by ``rule(spans)``: None for success, or a status, or raises."""

    def __init__(self, answers, rule):
        self._answers = answers
        self.rule = rule
        self.requests = []

    def export(self, spans):
        self.requests.append([span.name for span in spans])
        status = self.rule([span.name for span in spans])
        if status is None:
            return SimpleNamespace(name="SUCCESS")
        headers = {"Retry-After": "0"} if status != 418 else {}
        self._answers.hear(
            SimpleNamespace(status_code=status, reason="Because", headers=headers, content=b"")
        )
        return SimpleNamespace(name="FAILURE")


@pytest.fixture
def deliver(monkeypatch):
    """Deliver spans of these names; the exporter, what was accepted, refused and said."""
    monkeypatch.setattr(module, "TICK_S", 0.001)

    def deliver(names, rule, *, patience_s=None, stopping=lambda: False):
        answers = Answers()
        exporter = Exporter(answers, rule)
        said, accepted = [], []
        it = Courier(
            exporter, answers, NOWHERE, stopping=stopping, say=said.append, patience_s=patience_s
        )
        refused = it.deliver(
            [_span(name) for name in names], lambda part: accepted.extend(s.name for s in part)
        )
        return exporter, accepted, [span.name for span in refused], said

    return deliver


def test_what_is_refused_alone_is_left_out(deliver):
    """Found by halving; all others are accepted, in order, each in one request that succeeded."""
    names = [f"s{number}" for number in range(64)]
    bad = {"s5", "s6", "s63"}
    exporter, accepted, refused, said = deliver(names, lambda n: 400 if bad & set(n) else None)
    assert accepted == [name for name in names if name not in bad]
    assert refused == ["s5", "s6", "s63"]
    assert len([r for r in exporter.requests if r]) < 64
    assert any("refuses the span 's5': it answers 400 Because" in line for line in said)


def test_a_collector_that_refuses_everything_refuses_nothing(deliver):
    """A request without spans, refused as well, shows that it is not the spans. Then it is waited."""
    calls = []

    def rule(names):
        calls.append(names)
        return 400 if len(calls) <= 4 else None

    _, accepted, refused, said = deliver(["a", "b"], rule)
    assert (accepted, refused) == (["a", "b"], [])
    assert calls == [["a", "b"], [], ["a", "b"], [], ["a", "b"]]
    assert len(said) == 2
    assert "takes no spans (it answers 400 Because); waiting" in said[0]
    assert "takes spans again" in said[1]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_waited_for(deliver, status):
    """None of these says anything about a span: the same request again."""
    calls = []

    def rule(names):
        calls.append(names)
        return status if len(calls) == 1 else None

    _, accepted, refused, said = deliver(["a", "b"], rule)
    assert (accepted, refused) == (["a", "b"], [])
    assert calls == [["a", "b"]] * 2
    assert ("check address and credentials" in said[0]) is (status in (401, 403, 404))


def test_too_large_is_halved_without_ado(deliver):
    """No span is refused for the size of a request."""
    _, accepted, refused, said = deliver(list("abcdefgh"), lambda n: 413 if len(n) > 2 else None)
    assert (accepted, refused, said) == (list("abcdefgh"), [], [])


def test_a_single_span_that_is_too_large_is_refused(deliver):
    """It will never be smaller."""
    _, accepted, refused, _ = deliver(["a", "big"], lambda n: 413 if "big" in n else None)
    assert (accepted, refused) == (["a"], ["big"])


def test_an_exporter_that_raises_is_one_that_failed(deliver):
    """Older releases do, for what they do not retry."""
    calls = []

    def rule(names):
        calls.append(names)
        if len(calls) == 1:
            raise ConnectionResetError("reset by peer")

    _, accepted, _, said = deliver(["a"], rule)
    assert accepted == ["a"]
    assert "ConnectionResetError: reset by peer" in said[0]


def test_patience_ends(deliver):
    """With the reason."""
    with pytest.raises(Stopped, match=r"took no spans for 0\.05 s \(it answers 503 Because\)"):
        deliver(["a"], lambda names: 503, patience_s=0.05)


def test_told_to_stop_it_stops(deliver):
    """Before the next request, or in a pause."""
    asked = []

    def stopping():
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Stopped):
        deliver(["a"], lambda names: 418, stopping=stopping)


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("Failed to export traces, error code: StatusCode.INVALID_ARGUMENT", "refused"),
        ("Failed to export traces, error code: StatusCode.UNAVAILABLE", "later"),
        ("Failed to export traces, error code: StatusCode.DEADLINE_EXCEEDED", "later"),
        ("Failed to export traces, error code: StatusCode.UNAUTHENTICATED", "denied"),
        (
            "Failed to export traces, error code: StatusCode.RESOURCE_EXHAUSTED, error details: "
            "Received message larger than max",
            "too_large",
        ),
        ("Failed to export traces, error code: StatusCode.RESOURCE_EXHAUSTED", "later"),
        ("Failed to encode span batch: an int that is too large", "refused"),
        (
            "Dropping span batch: serialized size 9 bytes exceeds max_request_size 8 bytes.",
            "too_large",
        ),
        ("", "later"),
    ],
)
def test_verdicts_of_what_is_only_logged(message, verdict):
    """gRPC's exporter says it nowhere else."""
    answers = Answers()
    if message:
        answers.emit(logging.makeLogRecord({"msg": message, "levelno": logging.ERROR}))
    assert answers.verdict == verdict


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), ("0", 0, 0), ("soon", None, None), ("Fri, 01 Jan 2999 00:00:00 GMT", 1e9, 1e12)],
)
def test_retry_after_is_seconds_or_a_date(value, least, most):
    """Both forms of RFC 9110."""
    answers = Answers()
    headers = {"Retry-After": value}
    answers.hear(SimpleNamespace(status_code=503, reason="", headers=headers, content=b""))
    found = answers.retry_after_s
    assert found is None if least is None else least <= found <= most
