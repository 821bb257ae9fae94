"""What the standard variables ask for."""

from __future__ import annotations

import pytest

from importtrace.exporters.environment import otlp_wanted, protocol, target

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
