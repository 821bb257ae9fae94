"""What pytest loads of importtrace at its start: names, and nothing behind them until a test uses one.

Beside the package and not in it, because importing ``importtrace`` loads its capture, and most tests of
most projects do not want that. Nothing is ever traced by this plugin. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.testing import FreshInterpreter

# In the child of a test that is marked: where its reports go.
REPORTS = "_IMPORTTRACE_PYTEST_REPORTS"
MARKER = "fresh_interpreter"

_child = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(timeout_s=60): run the test in an interpreter of its own (importtrace)",
    )
    path = os.environ.pop(REPORTS, None)
    config.stash[_child] = path is not None
    if path is not None:
        config.pluginmanager.register(_Reporter(config, path), "importtrace-reporter")


class _Reporter:
    """Each report of this process as a line of JSON, for the process that started it."""

    def __init__(self, config: pytest.Config, path: str) -> None:
        self._config = config
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with open(self._path, "a", encoding="utf-8") as out:
            out.write(json.dumps(data, default=str) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    marker = item.get_closest_marker(MARKER)
    if marker is None or item.config.stash[_child]:
        return None
    from importtrace import pytest_plugin

    pytest_plugin.run(item, nextitem, marker)
    return True


@pytest.fixture
def fresh_interpreter() -> FreshInterpreter:
    """Runs code and imports in interpreters of their own; see `importtrace.testing.FreshInterpreter`."""
    from importtrace.testing import FreshInterpreter

    return FreshInterpreter()


@pytest.fixture
def restored_modules() -> Iterator[None]:
    """`sys.modules` is put back after the test; see `importtrace.testing.restored_modules`."""
    from importtrace.testing import restored_modules

    with restored_modules():
        yield
