"""What the standard OTEL_* variables ask of us; pure functions over an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXCEPTIONS = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_OTLP = {"otlp", "otlp_proto_http", "otlp_proto_grpc"}


def otlp_wanted(spans: str, environ: Mapping[str, str]) -> bool:
    """Whether a provider of our own is to send, given the setting ``spans`` (auto, on, off).

    Variables that switch OpenTelemetry or its trace exporter off win over ``on``.
    """
    if spans == "off" or _disabled(environ):
        return False
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named:
        return bool(_OTLP & {name.strip() for name in named.split(",")})
    return spans == "on" or any(environ.get(name) for name in _ENDPOINTS)


def metrics_wanted(spans: str, environ: Mapping[str, str]) -> bool:
    """Whether a meter provider of our own is to send: metrics are configured by name.

    An endpoint for all signals is not enough: behind it is often a Jaeger, which takes only traces.
    """
    if spans == "off" or _disabled(environ):
        return False
    named = environ.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    if named:
        return bool(_OTLP & {name.strip() for name in named.split(",")})
    return bool(environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))


def exception_signals(environ: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a failure becomes an exception event of its span, and whether a log record.

    The rule for instrumentations that existed before exceptions moved to logs: events, unless
    OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN holds ``logs`` (then logs only) or ``logs/dup`` (both).
    https://opentelemetry.io/docs/specs/semconv/exceptions/
    """
    named = {part.strip().lower() for part in environ.get(_EXCEPTIONS, "").split(",")}
    if "logs/dup" in named:
        return True, True
    return ("logs" not in named), ("logs" in named)


def logs_wanted(environ: Mapping[str, str]) -> bool:
    """Whether a logger provider of our own may send."""
    named = environ.get("OTEL_LOGS_EXPORTER", "").strip().lower()
    return not named or bool(_OTLP & {name.strip() for name in named.split(",")})


def _disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def protocol(environ: Mapping[str, str], signal: str = "TRACES") -> str:
    """``http/protobuf``, ``grpc``, or what else was asked for.

    Where nothing says so, the port decides: 4317 is gRPC's, and gRPC, by the SDK's default, is what
    the rest of a service with that port speaks. Else the specification's default, HTTP.
    """
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environ.get(name, "").strip():
            return environ[name].strip().lower()
    if "otlp_proto_grpc" in environ.get(f"OTEL_{signal}_EXPORTER", ""):
        return "grpc"
    return "grpc" if ":4317" in _endpoint(environ, signal) else "http/protobuf"


def target(environ: Mapping[str, str]) -> str:
    """Where the spans go, for people: the endpoint without user name and password."""
    endpoint = _endpoint(environ) or _default_endpoint(environ)
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return "the configured endpoint"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def address(environ: Mapping[str, str], signal: str = "TRACES") -> tuple[str, int] | None:
    """Host and port that ``signal`` goes to; None where it goes another way, or none can be read."""
    if any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return None
    endpoint = _endpoint(environ, signal) or _default_endpoint(environ)
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        usual = {"http": 80, "https": 443}.get(parts.scheme)
        port = parts.port or usual
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or not host or not port:
        return None
    return host, port


def _default_endpoint(environ: Mapping[str, str]) -> str:
    return "http://localhost:" + ("4317" if protocol(environ) == "grpc" else "4318")


def _endpoint(environ: Mapping[str, str], signal: str = "TRACES") -> str:
    names = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((environ[name] for name in names if environ.get(name)), "")
