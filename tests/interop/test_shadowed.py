"""A file of the user's in front of a standard module: explained, and delivered all the same.

The delivery needs many standard modules. Where one is the user's file, it may neither run because of
us nor keep the trace from its file and the log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import importtrace
from importtrace import _shadowing

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(importtrace.__file__).parents[1]
TIMEOUT_S = 60

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="said in one line there")

# behind everything: what lies beside the script is first, as it is for any program
BEGIN = """\
import sys
sys.path.append({source!r})
import importtrace
session = importtrace.install(file="trace.jsonl", log="info", spans={spans!r}, export_timeout_s=20)
"""


# From 3.13 on Python prints by the module `traceback`; where that cannot work because of what is hidden,
# it falls back on a printer that knows no notes.
SHOWS_NOTES = """\
import sys
sys.excepthook = lambda kind, value, tb: sys.stderr.write("".join(value.__notes__) + "\\n")
"""


class Run(NamedTuple):
    """What a program wrote, and its trace; no header where no file was written."""

    code: int
    out: str
    err: str
    header: dict[str, Any]
    records: list[dict[str, Any]]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


def start(
    folder: Path, body: str, *options: str, spans: str = "off", before: str = "", **extra: str
) -> Run:
    """Run ``body`` traced, in a bare interpreter: ``site`` of an environment may load half of these."""
    text = before + BEGIN.format(source=str(SOURCE), spans=spans) + body
    (folder / "app.py").write_text(text, encoding="utf-8")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IMPORTTRACE", "OTEL_", "PYTHON"))
    }
    done = subprocess.run(
        [sys.executable, "-S", *options, "app.py"],
        cwd=folder,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    lines: list[dict[str, Any]] = [{}]
    if (folder / "trace.jsonl").exists():
        text = (folder / "trace.jsonl").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
    return Run(done.returncode, done.stdout, done.stderr, lines[0], lines[1:])


def shadow(folder: Path, name: str, text: str = "") -> Path:
    """A file of the user's that says when it runs."""
    file = folder / f"{name}.py"
    file.write_text(f"print('ran', __name__)\n{text}", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("json", "dumps"),
        ("re", "compile"),
        ("inspect", "signature"),
        ("dataclasses", "dataclass"),
        ("types", "ModuleType"),
        ("typing", "Any"),
        ("threading", "Thread"),
        ("subprocess", "run"),
        ("collections", "OrderedDict"),
        ("enum", "Enum"),
        ("functools", "wraps"),
        ("textwrap", "dedent"),
        ("signal", "signal"),
        ("contextlib", "suppress"),
    ],
)
def test_a_program_that_fails_of_it_is_explained_everywhere(
    module: str, name: str, tmp_path: Path
) -> None:
    """The note, the log event and the trace file; the user's file runs once, for the program."""
    file = shadow(tmp_path, module)
    run = start(tmp_path, f"from {module} import {name}\n", before=SHOWS_NOTES)
    assert (run.code, run.out) == (1, f"ran {module}\n")
    assert "[shadowed]" in run.err
    assert f"what next: rename {file}" in run.err
    assert run.err.count("importtrace: ") == 1  # the note's first line: nothing was lost
    [failed] = [event for event in run.events if event["event"] == "import.failed"]
    assert (failed["cause_kind"], failed["module_name"]) == ("shadowed", module)
    assert failed["statement"] == f"from {module} import {name}"
    assert [event["event"] for event in run.events] == ["import.failed", "import.startup"]
    [cause] = run.header["failures"]
    assert (cause["kind"], cause["name"]) == ("shadowed", name)
    assert {"kind": "load", "module": module}.items() <= run.records[0].items()


def test_the_note_is_below_pythons_own_traceback(tmp_path: Path) -> None:
    """As for any failure; and it is the only thing that importtrace says besides the log."""
    file = shadow(tmp_path, "json")
    run = start(tmp_path, "from json import dumps\n")
    assert "[shadowed]" in run.err
    assert f"what next: rename {file}" in run.err
    assert run.err.count("importtrace: ") == 1


def test_a_file_that_the_program_did_not_import_does_not_run_because_of_us(tmp_path: Path) -> None:
    """The program fails of something else, and is done before anybody needs json."""
    shadow(tmp_path, "json")
    shadow(tmp_path, "dataclasses")
    run = start(tmp_path, "import not_there_at_all\n")
    assert (run.code, run.out) == (1, "")
    [failed] = [record for record in run.records if record["outcome"] == "failed"]
    assert failed["cause"]["kind"] == "not_found"
    assert [event["event"] for event in run.events] == ["import.failed", "import.startup"]


def test_the_programs_modules_stay_what_they_were(tmp_path: Path) -> None:
    """Its own json works for it until the end, and nothing of ours brought the standard one's friends."""
    shadow(tmp_path, "json", "mine = 'yes'\n")
    before = (
        "import atexit, sys\n"  # before ours, so called after it
        "late = lambda: print(sys.modules['json'].mine, 'dataclasses' in sys.modules)\n"
        "atexit.register(late)\n"
    )
    run = start(tmp_path, "import json\n", before=before)
    assert (run.code, run.out, run.header["end"]) == (0, "ran json\nyes False\n", "exit")


def test_what_was_logged_at_the_ready_mark_is_not_repeated(tmp_path: Path) -> None:
    """Two deliveries, two child processes, one event."""
    shadow(tmp_path, "json")
    body = "import json\nimporttrace.mark_ready()\nsession._join_delivery()\nimport colorsys\n"
    run = start(tmp_path, body)
    assert run.code == 0, run.err
    assert [event["event"] for event in run.events] == ["import.startup"]
    assert run.header["ready_by"] == "explicit"
    assert "colorsys" in [record["module"] for record in run.records]


def test_where_no_process_can_be_started_it_is_said(tmp_path: Path) -> None:
    """One line that names the file; the program ends as it would."""
    file = shadow(tmp_path, "json")
    body = "sys.executable, sys.exec_prefix = '', '/nowhere'\nimport json\nsys.exit(3)\n"
    run = start(tmp_path, body)
    assert (run.code, run.header) == (3, {})
    [line] = run.err.splitlines()
    assert line.startswith("importtrace: the trace was not delivered: ")
    assert f"{file} hides the standard module 'json'" in line
    assert line.endswith("; rename that file")


def test_the_trace_of_a_hanging_import_is_written_while_it_hangs(tmp_path: Path) -> None:
    """Such a process is killed rather than ended, so the file cannot wait for its end."""
    shadow(tmp_path, "json")
    slow = (
        "import os, time\n"
        "until = time.monotonic() + 40\n"
        "while not os.path.exists('trace.jsonl') and time.monotonic() < until:\n"
        "    time.sleep(0.02)\n"
        "print(os.path.exists('trace.jsonl'))\n"
    )
    (tmp_path / "slow.py").write_text(slow, encoding="utf-8")
    run = start(tmp_path, "import json\nimport slow\n", IMPORTTRACE_STALL_SECONDS="0.3")
    assert (run.code, run.out) == (0, "ran json\nTrue\n"), run.err


def test_a_program_that_reaps_all_its_children_disturbs_nothing(tmp_path: Path) -> None:
    """A server's handler of SIGCHLD may take the child's end before we ask for it."""
    shadow(tmp_path, "json")
    body = (
        "import json, os, signal\n"
        "signal.signal(signal.SIGCHLD, lambda *_: os.waitpid(-1, os.WNOHANG))\n"
    )
    run = start(tmp_path, body)
    assert run.code == 0, run.err
    assert [event["event"] for event in run.events] == ["import.startup"]


def test_redaction_comes_before_everything(tmp_path: Path) -> None:
    """The child that stands in redacts as this process would: neither message nor statement is left."""
    shadow(tmp_path, "json")
    run = start(tmp_path, "from json import dumps\n", IMPORTTRACE_REDACT="statements,messages")
    [cause] = run.header["failures"]
    assert cause["message"] == "<redacted>"
    assert "statement" not in cause["chain"][-1]
    [failed] = [event for event in run.events if event["event"] == "import.failed"]
    assert failed["error_message"] == "<redacted>"
    assert "statement" not in failed


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    """An endpoint and the paths that were posted to it."""
    posted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()
        thread.join(TIMEOUT_S)


def test_spans_are_sent(tmp_path: Path, collector: tuple[str, list[str]]) -> None:
    """As they are where nothing is hidden."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    endpoint, posted = collector
    shadow(tmp_path, "json")
    run = start(
        tmp_path,
        f"sys.path.extend({sys.path!r})\nfrom json import dumps\n",
        spans="on",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
    )
    assert posted == ["/v1/traces"], run.err


def test_a_folder_beside_the_program_that_hides_nothing_needed_changes_nothing(
    tmp_path: Path,
) -> None:
    """calendar.py and a package `test` are everyday: delivered in the process, as always."""
    shadow(tmp_path, "calendar")
    (tmp_path / "test").mkdir()
    (tmp_path / "json").mkdir()  # no package: the standard module is found
    (tmp_path / "re.txt").touch()
    body = "from importtrace import _shadowing\nprint(_shadowing.in_front())\n"
    assert start(tmp_path, body).out == "None\n"


def test_what_a_delivery_imports_is_known() -> None:
    """A standard module that a delivery comes to import must be in the list that is looked through."""
    program = (
        "import sys\n"
        f"sys.path[1:1] = {[str(SOURCE), *sys.path]!r}\n"
        "before = set(sys.modules)\n"
        "import importtrace\n"
        "session = importtrace.install(file='/dev/null/x', log='debug', spans='on', redact='all',\n"
        "    propagate='on', export_timeout_s=1)\n"
        "try:\n"
        "    import not_there\n"
        "except ImportError:\n"
        "    pass\n"
        "session._deliver('exit', at_exit=True)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(' '.join(new & set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    found = set(done.stdout.split())
    assert {"json", "dataclasses", "subprocess"} <= found, done.stderr
    assert found - set(sys.builtin_module_names) <= set(_shadowing.NEEDED)


@pytest.mark.parametrize("name", ["argparse", "json", "dataclasses", "re"])
def test_the_command_line_works_beside_such_a_file(name: str, tmp_path: Path) -> None:
    """``python -m`` puts the current folder first; nothing of ours may come from there."""
    shadow(tmp_path, name)
    (tmp_path / "app.py").write_text("print('app')\n")
    command = [sys.executable, "-m", "importtrace"]
    run = [*command, "run", "--log", "off", "--spans", "off", "-o", "t.jsonl", "app.py"]
    for arguments, said in ((run, "app\n"), ([*command, "report", "t.jsonl"], "t.jsonl")):
        done = subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout
        assert "ran" not in done.stdout.split()
