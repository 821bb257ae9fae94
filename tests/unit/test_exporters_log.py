"""Events through the application's structlog, or as JSON lines on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest
import structlog
from exporters_support import failed, load, trace
from structlog.testing import CapturingLogger

from importtrace.exporters import ids
from importtrace.exporters.correlation import Correlation
from importtrace.exporters.log import LogExporter
from importtrace.exporters.plan import plan


@pytest.fixture
def unconfigured():
    """structlog's configuration is global; each test begins and ends without one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def _export(*records, debug=False):
    exporter = LogExporter(debug=debug, long_wait_ms=100)
    exporter.export(trace(*records))
    exporter.close()
    return exporter


def _lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("unconfigured")
def test_json_lines_on_stderr(capsys):
    """structlog loaded but not configured: its default would print to the program's stdout."""
    exporter = _export(failed(1, "a"))
    out, err = capsys.readouterr()
    assert out == ""
    first, second = _lines(err)
    assert (first["event"], first["level"], first["pid"]) == ("import.failed", "error", 4711)
    assert first["cause"]["kind"] == "circular"
    assert second["event"] == "import.startup"
    assert exporter.flush(1.0) is True


@pytest.mark.usefixtures("unconfigured")
def test_the_application_s_configuration_gets_the_events(capsys):
    """Its logger, its processors; nothing on stderr beside them."""
    logger = CapturingLogger()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=lambda *args: logger,
    )
    _export(failed(1, "a"), load(2, "b"), debug=True)
    assert [call.method_name for call in logger.calls] == ["error", "debug", "info"]
    first = json.loads(logger.calls[0].args[0])
    assert (first["event"], first["module_name"]) == ("import.failed", "a")
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("unconfigured")
def test_an_async_logger_gets_nothing_and_nothing_is_lost(capsys):
    """Its methods are coroutines that nobody would await: JSON lines instead."""
    structlog.configure(
        wrapper_class=structlog.stdlib.AsyncBoundLogger,
        logger_factory=lambda *args: CapturingLogger(),
    )
    _export(load(1, "a"))
    assert [line["event"] for line in _lines(capsys.readouterr().err)] == ["import.startup"]


@pytest.mark.usefixtures("unconfigured")
def test_a_processor_that_raises_loses_nothing(capsys):
    """The event it refused, and all after it, are written as JSON; one line says so."""

    def refuse(logger, name, event_dict):
        raise LookupError("no request id")

    structlog.configure(processors=[refuse], logger_factory=lambda *args: CapturingLogger())
    exporter = _export(failed(1, "a"))
    assert [line["event"] for line in _lines(capsys.readouterr().err)] == [
        "import.failed",
        "import.startup",
    ]
    assert exporter.flush(1.0) is False
    assert "LookupError: no request id" in exporter.loss
    assert "\n" not in exporter.loss


def test_structlog_is_never_imported_for_us():
    """A program without structlog gets JSON lines and no 120 modules."""
    code = """
        import sys
        from exporters_support import load, trace
        from importtrace.exporters.log import LogExporter
        LogExporter(debug=False, long_wait_ms=100).export(trace(load(1, "a")))
        assert "structlog" not in sys.modules
        assert "logging" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert json.loads(done.stderr)["event"] == "import.startup"


@pytest.mark.usefixtures("unconfigured")
def test_events_name_their_span(capsys):
    """Of what became one; the summary names the whole start-up's. Later events have the trace only."""
    start_up = trace(failed(1, "a"), load(2, "b"), load(3, "c"), host="node-1")
    spans = {span.name: span.span_id for span in plan(start_up, max_spans=3, long_wait_ms=100)}
    for new in (True, False):
        which = Correlation(start_up, max_spans=3, long_wait_ms=100, new=new)
        LogExporter(debug=True, long_wait_ms=100, correlate=which).export(start_up)
    lines = _lines(capsys.readouterr().err)
    assert {line["trace_id"] for line in lines} == {format(ids.trace_id(start_up.header), "032x")}
    first, second = lines[:4], lines[4:]
    assert first[0]["span_id"] == format(spans["import a"], "016x")
    kept = [line for line in first[1:3] if "span_id" in line]
    assert len(kept) == 1  # the other was over the budget
    assert first[3]["span_id"] == format(spans["python.startup"], "016x")
    assert [line.get("span_id") for line in second[:3]] == [None] * 3
