"""What `opentelemetry-instrument` finds in our entry point, as it finds those of other libraries.

    opentelemetry-instrument python app.py

It is no subclass of opentelemetry-instrumentation's base class, of which only these two methods are
called: importtrace does not need that package. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=importtrace`, or
`IMPORTTRACE=0`, leaves it out.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OFF = ("0", "false", "no", "off")


class Instrumentor:
    """Starts the tracing; settings come from the IMPORTTRACE_* variables."""

    def instrument(self, **_: "Any") -> None:
        """As `importtrace.install()`."""
        if os.environ.get("IMPORTTRACE", "").strip().lower() not in _OFF:
            import importtrace

            importtrace.install()

    def uninstrument(self, **_: "Any") -> None:
        """As `importtrace.uninstall()`."""
        import importtrace

        importtrace.uninstall()
