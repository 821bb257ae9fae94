"""What the standard OTEL_* variables ask of us; pure functions over an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP = {"otlp", "otlp_proto_http", "otlp_proto_grpc"}


def otlp_wanted(spans: str, environ: Mapping[str, str]) -> bool:
    """Whether a provider of our own is to send, given the setting ``spans`` (auto, on, off).

    Variables that switch OpenTelemetry or its trace exporter off win over ``on``.
    """
    if spans == "off" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named:
        return bool(_OTLP & {name.strip() for name in named.split(",")})
    return spans == "on" or any(environ.get(name) for name in _ENDPOINTS)


def protocol(environ: Mapping[str, str]) -> str:
    """``http/protobuf``, ``grpc``, or what else was asked for.

    Where nothing says so, the port decides: 4317 is gRPC's, and gRPC, by the SDK's default, is what
    the rest of a service with that port speaks. Else the specification's default, HTTP.
    """
    for name in _PROTOCOLS:
        if environ.get(name, "").strip():
            return environ[name].strip().lower()
    if "otlp_proto_grpc" in environ.get("OTEL_TRACES_EXPORTER", ""):
        return "grpc"
    return "grpc" if ":4317" in _endpoint(environ) else "http/protobuf"


def target(environ: Mapping[str, str]) -> str:
    """Where the spans go, for people: the endpoint without user name and password."""
    endpoint = _endpoint(environ)
    if not endpoint:
        endpoint = "http://localhost:" + ("4317" if protocol(environ) == "grpc" else "4318")
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return "the configured endpoint"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _endpoint(environ: Mapping[str, str]) -> str:
    return next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
