"""The exporters of each signal, as the standard variables ask for them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# in a process of its own: gRPC has threads, and minds the forks of other tests
MAKE = """
import os, sys
from importtrace.exporters.otlp import make_exporter
for signal in ("TRACES", "METRICS", "LOGS"):
    exporter = make_exporter(os.environ, 1.0, signal=signal)
    print(type(exporter).__module__.split(".")[4], type(exporter).__name__)
    exporter.shutdown()
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("protocol", "which"), [("http", ""), ("grpc", ""), ("grpc", "METRICS_"), ("grpc", "LOGS_")]
)
def test_none_is_a_compression_of_every_signal(protocol: str, which: str) -> None:
    """It is one of the specification's values, and the SDK's gRPC exporters refuse it."""
    given = {"http": "http/protobuf", "grpc": "grpc"}[protocol]
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", MAKE],
        env=keep
        | {"OTEL_EXPORTER_OTLP_PROTOCOL": given, f"OTEL_EXPORTER_OTLP_{which}COMPRESSION": "none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [
        *(protocol, "OTLPSpanExporter"),
        *(protocol, "OTLPMetricExporter"),
        *(protocol, "OTLPLogExporter"),
    ]
