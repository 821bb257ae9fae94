"""A start-up as metrics, read back from the SDK's in-memory reader."""

from __future__ import annotations

import pytest
from exporters_support import MS, failed, load, request, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from importtrace.exporters.metrics import IMPORT_BUCKETS, STARTUP_BUCKETS, measure


@pytest.fixture
def measured():
    """Measure a trace; name -> data points."""
    providers = []

    def measured(*records, **header):
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        providers.append(provider)
        measure(provider.get_meter("test"), trace(*records, **header))
        (resource,) = reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}

    yield measured
    for provider in providers:
        provider.shutdown()


def test_a_start_up_s_duration_and_outcome(measured):
    """From the trace's begin to the ready mark, in seconds."""
    (ok,) = measured(load(1, "a"), ready_ns=1500 * MS)["python.startup.duration"]
    assert (ok.count, ok.sum) == (1, 1.5)
    assert dict(ok.attributes) == {"python.startup.outcome": "ok"}
    assert tuple(ok.explicit_bounds) == STARTUP_BUCKETS
    (bad,) = measured(failed(1, "a"))["python.startup.duration"]
    assert dict(bad.attributes) == {"python.startup.outcome": "failed"}


def test_counts_are_those_of_the_trace(measured):
    """Loads by outcome and bytecode, failures by cause, waits, hand-outs, compiled modules."""
    found = measured(
        load(1, "a", bytecode="compiled"),
        load(2, "b"),
        load(3, "c"),
        failed(4, "d"),
        failed(5, "e", handled=True),
        request(6, "b", 2, outcome="partial"),
        request(7, "b", 2, outcome="waited", wait_ns=30 * MS),
        dropped=4,
    )
    loads = {tuple(sorted(p.attributes.items())): p.value for p in found["python.import.count"]}
    assert loads == {
        (("python.import.bytecode", "compiled"), ("python.import.outcome", "ok")): 1,
        (("python.import.bytecode", "hit"), ("python.import.outcome", "ok")): 2,
        (("python.import.bytecode", "hit"), ("python.import.outcome", "failed")): 2,
    }
    failures = {p.attributes["python.import.handled"]: p for p in found["python.import.failures"]}
    assert {key: point.value for key, point in failures.items()} == {"true": 1, "false": 1}
    assert failures["false"].attributes["python.import.cause.kind"] == "circular"
    for name, count in (("handouts", 1), ("compiled", 1), ("dropped", 4)):
        assert [point.value for point in found[f"python.import.{name}"]] == [count]
    (wait,) = found["python.import.wait.duration"]
    assert (wait.count, wait.sum) == (1, 0.03)
    assert tuple(wait.explicit_bounds) == IMPORT_BUCKETS


def test_what_came_after_the_start_up_is_no_part_of_it(measured):
    """A lazy import in a request says nothing about the start."""
    found = measured(load(1, "a"), load(900, "late"), ready_ns=500 * MS)
    assert sum(point.value for point in found["python.import.count"]) == 1


def test_no_attribute_names_a_module(measured):
    """There is no bound to their number."""
    found = measured(*(load(number, f"module_{number}") for number in range(1, 300)))
    assert max(len(points) for points in found.values()) <= 2
