"""importtrace: records every import of this process, and explains the ones that fail.

    import importtrace
    importtrace.install()

What is cheap is here at once; the rest is loaded when it is used, so that the start-up being observed
does not pay for it.

PYTEST_DONT_REWRITE: the distribution has a pytest plugin, so pytest wants to rewrite its modules, and would
warn where a test run is traced, because they are loaded already.
"""

from importtrace.session import Session, explain, install, mark_ready, trace, uninstall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importtrace.cause import Cause
    from importtrace.errors import ImportTraceError
    from importtrace.records import ImportRecord, Trace

__all__ = [
    "Cause",
    "ImportRecord",
    "ImportTraceError",
    "Session",
    "Trace",
    "__version__",
    "explain",
    "install",
    "mark_ready",
    "trace",
    "uninstall",
]

__version__ = "0.1.0"

_LATER = {
    "Cause": "importtrace.cause",
    "ImportRecord": "importtrace.records",
    "ImportTraceError": "importtrace.errors",
    "Trace": "importtrace.records",
}


def __getattr__(name: str) -> object:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(module, fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
