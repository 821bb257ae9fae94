"""Runs a test that is marked ``fresh_interpreter`` in a pytest of its own, and reports what came of it.

What pytest itself loads is ``_importtrace_pytest``; this is loaded by the first test that needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import _importtrace_pytest
from importtrace import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60.0


def run(item: pytest.Item, nextitem: pytest.Item | None, marker: pytest.Mark) -> None:
    """The whole protocol of one test: its reports come from the child."""
    timeout_s = _timeout(item, marker)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, timeout_s):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # Its module's and package's fixtures may be set up here, for the test before it.
    item.session._setupstate.teardown_exact(nextitem)


def _timeout(item: pytest.Item, marker: pytest.Mark) -> float:
    given = dict(marker.kwargs)
    timeout_s = given.pop("timeout_s", TIMEOUT_S)
    if given or marker.args or not isinstance(timeout_s, (int, float)) or timeout_s <= 0:
        raise pytest.UsageError(
            f"{item.nodeid}: fresh_interpreter takes nothing but timeout_s=SECONDS, "
            f"not {marker.args or given or timeout_s!r}"
        )
    return timeout_s


def _reports(item: pytest.Item, timeout_s: float) -> Iterator[pytest.TestReport]:
    with tempfile.TemporaryDirectory(
        prefix="importtrace-pytest-", ignore_cleanup_errors=True
    ) as folder:
        written = Path(folder, "reports")
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        status = testing.run_command(
            _command(item, folder),
            stdout,
            stderr,
            item.config.invocation_params.dir,
            {_importtrace_pytest.REPORTS: os.fspath(written)},
            timeout_s,
        )
        last = None
        for line in _lines(written):
            try:
                report = _read(item, json.loads(line))
            except ValueError:
                break  # it was killed while it wrote
            if report is not None:
                last = report.when
                yield report
        if last != "teardown":
            said = "".join(path.read_text("utf-8", "replace") for path in (stdout, stderr))
            yield _broken(item, status, timeout_s, said)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _command(item: pytest.Item, folder: str) -> list[str]:
    """This pytest's own options, but for one test, and nothing that would write where we do."""
    config = item.config
    names = set(config.args)
    options = [text for text in config.invocation_params.args if text not in names]
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    if "" not in sys.path and os.getcwd() not in sys.path and "-P" not in flags:
        flags = [*flags, "-P"]  # `pytest` puts no current directory on sys.path, `-m pytest` does
    command = [sys.executable, *flags, "-m", "pytest", *options]
    command += [
        f"--rootdir={config.rootpath}",
        "-o",
        f"cache_dir={folder}/cache",
        "-k",
        "",
        "-m",
        "",
    ]
    if config.inipath is not None:
        command += ["-c", os.fspath(config.inipath)]
    if config.pluginmanager.hasplugin("xdist"):
        command += ["-n", "0"]
    if config.pluginmanager.hasplugin("pytest_cov"):
        command.append("--no-cov")
    if getattr(config.option, "xmlpath", None):
        command.append(f"--junit-xml={folder}/junit.xml")
    path, colons, rest = item.nodeid.partition("::")
    return [*command, f"{config.rootpath / path}{colons}{rest}"]


def _read(item: pytest.Item, data: dict[str, Any]) -> pytest.TestReport | None:
    report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
    if not isinstance(report, pytest.TestReport):
        return None
    report.nodeid = item.nodeid
    if isinstance(report.longrepr, list):
        report.longrepr = tuple(report.longrepr)  # file, line, reason of a skip
    report.user_properties = [(name, value) for name, value in report.user_properties]
    return report


def _broken(
    item: pytest.Item, status: int | None, timeout_s: float, said: str
) -> pytest.TestReport:
    if status is None:
        how = f"did not end within {timeout_s:g} s and was stopped"
    elif status < 0:
        how = f"was ended by signal {-status}"
    else:
        how = f"ended with status {status}"
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=f"the fresh interpreter {how} before the test was over\n\n{said.strip()}\n",
        when="call",
    )
