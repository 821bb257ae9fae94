"""Errors that importtrace shows to people: what, which, why, what next, and a slug that the docs explain.

None of these is ever raised into a program's import: capture fails open. They reach callers of the
Python interface and users of the command line (exit code 2).
"""


class ImportTraceError(Exception):
    """Base of all errors of this package; ``slug`` names its paragraph in docs/messages.md."""

    slug = "error"

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.slug}]"


class ConfigError(ImportTraceError):
    """An argument or an ``IMPORTTRACE_*`` variable has a value that means nothing."""

    slug = "bad-setting"


class TraceFileError(ImportTraceError):
    """A trace file cannot be read: missing, foreign, or of a newer schema."""

    slug = "bad-trace"


class UnsupportedError(ImportTraceError):
    """This interpreter does not show what was asked for."""

    slug = "unsupported"


class MissingDependencyError(ImportTraceError):
    """A package that this feature needs is not importable here."""

    slug = "missing-dependency"


class ShippingError(ImportTraceError):
    """Traces cannot be sent: no collector, or nowhere to note what was sent."""

    slug = "cannot-ship"
