"""Settings: arguments of ``install()``, then ``IMPORTTRACE_*`` variables, then defaults.

Stdlib-free on purpose: ``install()`` reads it in a bare interpreter. A malformed variable must not
stop the program that inherited it, so it is reported on stderr and its default used; a malformed
argument is the caller's mistake and raises ConfigError.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# Where a server's start-up is over: module whose load is followed -> our integration of it.
READY_POINTS: dict[str, str] = {
    "awslambdaric.lambda_runtime_client": "awslambdaric",
    "celery.apps.worker": "celery",
    "django.core.management.commands.runserver": "django",
    "granian._futures": "granian",
    "gunicorn.workers.base": "gunicorn",
    "hypercorn.logging": "hypercorn",
    "uvicorn.server": "uvicorn",
    "werkzeug.serving": "werkzeug",
}

MODES = ("auto", "probes", "finder")
LOGS = ("info", "debug", "off")
SPANS = ("auto", "on", "off")


class Config:
    """One value per setting; docs/configuration.md lists them.

    file            where the trace goes at the end of start-up and at exit, ``{pid}`` filled in; None: nowhere
    mode            ``auto``, ``probes`` or ``finder``
    log             ``info`` (failures, long waits, one summary), ``debug`` (everything), ``off``
    spans           ``auto`` (where a provider or an OTLP endpoint is configured), ``on``, ``off``
    max_records     bound of the recorder; what is over it is counted as dropped
    max_spans       span budget; the rest is folded into counts on the parents
    long_wait_ms    a wait of at least this long is worth an event and a span
    stall_seconds   an import that makes no progress for this long is reported while it hangs; 0: none is
    on_orphaned_lock  ``report`` or ``raise``, of an import that can never finish in a forked process
    export_timeout_s  how long sending may take, all told
    propagate       ``on``: children get the start-up's span as their parent, by this process's environment
    ready_at        where the start-up ends, ``module[:function[:returned]]``; empty: where servers say so
    redact          any of ``statements``, ``messages``, ``home``: what does not leave the process
    spool           the folder in which every import is written as it happens; None: nowhere
    spool_file_mb   how large one process's file there may become
    spool_files     how many files the folder keeps; those of living processes are never removed
    spool_mb        how large the folder may become, likewise
    """

    __slots__ = (
        "export_timeout_s",
        "file",
        "log",
        "long_wait_ms",
        "max_records",
        "max_spans",
        "mode",
        "on_orphaned_lock",
        "propagate",
        "ready_at",
        "redact",
        "spans",
        "spool",
        "spool_file_mb",
        "spool_files",
        "spool_mb",
        "stall_seconds",
    )

    file: str | None
    mode: str
    log: str
    spans: str
    max_records: int
    max_spans: int
    long_wait_ms: int
    export_timeout_s: int
    stall_seconds: float
    on_orphaned_lock: str
    propagate: str
    ready_at: tuple[str, ...]
    redact: frozenset[str]
    spool: str | None
    spool_file_mb: int
    spool_files: int
    spool_mb: int


def _choice(*allowed: str) -> "Callable[[object], str]":
    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return parse


def _number(least: int) -> "Callable[[object], int]":
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("must be a whole number")
        try:
            number = int(value)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return parse


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number of seconds")
    try:
        seconds = float(value)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= seconds < 1e6:
        raise ValueError("must be at least 0 (off), and less than a million")
    return seconds


def _path(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    fspath = getattr(type(value), "__fspath__", None)
    if fspath is None:
        raise ValueError("must be a path")
    return str(fspath(value))


def _ready_at(value: object) -> tuple[str, ...]:
    parts: Any = value.split(",") if isinstance(value, str) else value
    try:
        points = tuple(str(part).strip() for part in parts)
    except TypeError:
        raise ValueError("must be a comma-separated list") from None
    points = tuple(point for point in points if point)
    for point in points:
        module, *rest = point.split(":")
        names = [module, *rest[:1]]
        if rest[1:] not in ([], ["returned"]) or not all(
            part.isidentifier() for name in names for part in name.split(".")
        ):
            raise ValueError("must be MODULE, MODULE:FUNCTION or MODULE:FUNCTION:returned")
        if module == "__main__":
            raise ValueError("cannot follow __main__; call importtrace.mark_ready() there")
    return points


def _redact(value: object) -> frozenset[str]:
    parts: Any = value.split(",") if isinstance(value, str) else value
    try:
        names = frozenset(str(part).strip() for part in parts) - {""}
    except TypeError:
        raise ValueError("must be a comma-separated list") from None
    if names == {"all"}:
        names = frozenset(("statements", "messages", "home"))
    if not names <= {"statements", "messages", "home"}:
        raise ValueError("may name statements, messages, home")
    return names


# name: (default, parser)
_SETTINGS: "dict[str, tuple[object, Callable[[object], object]]]" = {
    "file": (None, _path),
    "mode": ("auto", _choice(*MODES)),
    "log": ("info", _choice(*LOGS)),
    "spans": ("auto", _choice(*SPANS)),
    "max_records": (100_000, _number(100)),
    "max_spans": (2_000, _number(1)),
    "long_wait_ms": (100, _number(0)),
    "stall_seconds": (10, _seconds),
    "on_orphaned_lock": ("report", _choice("report", "raise")),
    "export_timeout_s": (10, _number(1)),
    "propagate": ("off", _choice("on", "off")),
    "ready_at": ((), _ready_at),
    "redact": ((), _redact),
    "spool": (None, _path),
    "spool_file_mb": (32, _number(1)),
    "spool_files": (100, _number(1)),
    "spool_mb": (512, _number(1)),
}


def resolve(arguments: "Mapping[str, object]", environ: "Mapping[str, str]") -> "Config":
    """The settings in force. ``arguments`` holds only what the caller gave (None: not given)."""
    config = Config()
    for name, (default, parse) in _SETTINGS.items():
        given = arguments.get(name)
        variable = "IMPORTTRACE_" + name.upper()
        text = environ.get(variable)
        if given is not None:
            try:
                value = parse(given)
            except ValueError as error:
                from importtrace.errors import ConfigError

                raise ConfigError(f"install({name}={given!r}): {error}") from None
        elif text is not None and text != "":
            try:
                value = parse(text)
            except ValueError as error:
                warn(f"{variable}={text!r} {error}; using {default!r}")
                value = parse(default)
        else:
            value = parse(default)
        setattr(config, name, value)
    unknown = set(arguments) - set(_SETTINGS)
    if unknown:
        from importtrace.errors import ConfigError

        raise ConfigError(f"install() has no setting {sorted(unknown)[0]!r}")
    return config


def warn(message: str) -> None:
    """One line on stderr; never raises."""
    try:
        stream = sys.stderr or sys.__stderr__
        if stream is not None:
            stream.write(f"importtrace: {message}\n")
            stream.flush()
    except Exception:
        pass
