"""What the standard variables ask for."""

from __future__ import annotations

import pytest

from importtrace.exporters.environment import (
    address,
    exception_signals,
    metrics_wanted,
    otlp_wanted,
    protocol,
    target,
)

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("spans", "environ", "expected"),
    [
        ("auto", {}, False),
        ("auto", ENDPOINT, True),
        ("auto", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True),
        ("auto", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/v1/metrics"}, False),
        ("auto", {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ("auto", {"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ("auto", ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        ("auto", ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        ("on", {}, True),
        ("on", {"OTEL_SDK_DISABLED": "TRUE"}, False),
        ("on", {"OTEL_TRACES_EXPORTER": "none"}, False),
        ("off", ENDPOINT, False),
    ],
)
def test_when_our_own_provider_sends(spans, environ, expected):
    """auto follows the variables; what switches OpenTelemetry off wins over on."""
    assert otlp_wanted(spans, environ) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "http/protobuf"),
        (ENDPOINT, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "grpc"),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_grpc"}, "grpc"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            "http/protobuf",
        ),
    ],
)
def test_which_protocol(environ, expected):
    """The traces' own variable, the general one, the port, the specification's default."""
    assert protocol(environ) == expected


def test_the_endpoint_is_named_without_credentials():
    """It is printed on stderr."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://ada:secret@collector:4318/x?key=1"}
    assert target(environ) == "https://collector:4318/x"
    assert target({}) == "http://localhost:4318"


@pytest.mark.parametrize(
    ("spans", "environ", "expected"),
    [
        ("auto", {}, False),
        ("on", ENDPOINT, False),  # a Jaeger, perhaps, which takes no metrics
        ("auto", {"OTEL_METRICS_EXPORTER": "otlp"}, True),
        ("auto", {"OTEL_METRICS_EXPORTER": "none"} | ENDPOINT, False),
        ("auto", {"OTEL_METRICS_EXPORTER": "prometheus,otlp"}, True),
        ("auto", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/v1/metrics"}, True),
        ("off", {"OTEL_METRICS_EXPORTER": "otlp"}, False),
        ("on", {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_metrics_are_sent_where_they_are_configured_by_name(spans, environ, expected):
    """An endpoint for all signals is not enough."""
    assert metrics_wanted(spans, environ) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, (True, False)),
        ("", (True, False)),
        ("logs", (False, True)),
        ("logs/dup", (True, True)),
        ("http, LOGS", (False, True)),
        ("logs,logs/dup", (True, True)),
        ("nonsense", (True, False)),
    ],
)
def test_exceptions_are_events_unless_logs_are_asked_for(value, expected):
    """As the semantic conventions have it for those who had events before."""
    name = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
    assert exception_signals({} if value is None else {name: value}) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("localhost", 4318)),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("localhost", 4317)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/x"}, ("c", 443)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}, ("c", 4317)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:9"}, ("::1", 9)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:port"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None),
    ],
)
def test_where_a_connection_would_go(environ, expected):
    """None where a proxy, or a thing without ports, is between."""
    assert address(environ) == expected


def test_signals_may_speak_different_protocols():
    """Each has its own variables."""
    environ = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    assert (protocol(environ), protocol(environ, "METRICS")) == ("grpc", "http/protobuf")
