"""What the environment says of a process for being published; nothing of the standard library.

OpenTelemetry's variables for the parent span and for attributes of a service or a place. No other value
of the environment is ever taken.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PUBLISHED = ("service.", "deployment.", "host.", "container.", "k8s.", "cloud.", "faas.")


def declared(environ: "Mapping[str, str]", host: "str | None") -> "dict[str, Any]":
    """Keys of a trace header: ``host``, ``resource``, ``traceparent``, ``tracestate``; absent if unknown."""
    resource = {"host.name": host} if host else {}
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip().startswith(_PUBLISHED):
            resource[key.strip()] = _decoded(value.strip())
    if environ.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = environ["OTEL_SERVICE_NAME"]
    out: dict[str, Any] = {"host": host} if host else {}
    if resource:
        out["resource"] = resource
    for name in ("traceparent", "tracestate"):
        if environ.get(name.upper()):
            out[name] = environ[name.upper()]
    return out


def _decoded(value: str) -> str:
    """As ``urllib.parse.unquote``, which may be a file of the user's here."""
    first, *parts = value.encode("utf-8", "surrogatepass").split(b"%")
    decoded = [first]
    for part in parts:
        digits = part[:2]
        try:
            if not digits.isalnum() or len(digits) < 2:
                raise ValueError
            decoded.append(bytes((int(digits, 16),)) + part[2:])
        except ValueError:
            decoded.append(b"%" + part)
    return b"".join(decoded).decode("utf-8", "replace")
