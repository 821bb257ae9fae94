"""One process, told of twice: by its own spans, and by its spool, which is shipped afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ship_support import end, start
from spool_support import write

import importtrace
from importtrace import spool

if TYPE_CHECKING:
    from receivers import Agent, Span

pytest_plugins = ["receivers"]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files"),
]

PROGRAM = {
    "main.py": """\
        import importtrace
        session = importtrace.install()
        import threading
        import first
        try:
            import broken
        except ImportError:
            pass
        started = threading.Event()
        other = threading.Thread(target=lambda: (started.set(), __import__("slow")), name="other")
        other.start()
        started.wait()
        import slow
        other.join()
        import pkg.sub.leaf
        importtrace.mark_ready("done")
        """,
    "first.py": "import second\nfrom json import decoder\n",
    "second.py": "import first\nimport _decimal\n",  # a partial hand-out
    "broken.py": "import inner\n",
    "inner.py": "from json import no_such_name\n",
    "slow.py": "import threading\nthreading.Event().wait(0.5)\nimport after\n",
    "after.py": "",
    "pkg/__init__.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/sub/leaf.py": "import long_" + "n" * 100 + "\n",
    "long_" + "n" * 100 + ".py": "",
}


def _run(folder: Path, **environ: str) -> str:
    """Runs the program; the folder of its spool."""
    write(folder, PROGRAM)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IMPORTTRACE", "OTEL_", "TRACEPARENT"))
    }
    environ = {
        **kept,
        "PYTHONPATH": str(Path(importtrace.__file__).parent.parent),
        "IMPORTTRACE_LOG": "off",
        "IMPORTTRACE_SPOOL": str(folder / "spool"),
        **environ,
    }
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=folder, env=environ, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return str(folder / "spool")


def _by_id(spans: list[Span]) -> dict[str, tuple[object, ...]]:
    """Span id -> what both ways of sending must tell alike."""
    return {
        span.id: (
            span.trace, span.parent, span.name, span.start_ns, span.end_ns, sorted(span.links, key=str),
            span.status.get("code"),
            span.attributes.get("python.import.outcome"),
            span.attributes.get("python.import.cause.kind"),
            span.attributes.get("code.file.path"),
            span.attributes.get("code.line.number"),
        )
        for span in spans
    }  # fmt: skip


@pytest.mark.parametrize(
    "traceparent", ["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
)
def test_a_shipped_spool_has_the_ids_of_the_process_s_own_spans(
    agent: Agent, tmp_path: Path, traceparent: str
) -> None:
    """So a backend that is given both sees each import once, and a log line leads to either."""
    environ = {"TRACEPARENT": traceparent} if traceparent else {}
    folder = _run(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=agent.http, **environ)
    own = agent.spans()
    assert len(own) > 10
    agent.clear()
    assert len(spool.files(folder)) == 1
    code, _, err = end(start(folder, OTEL_EXPORTER_OTLP_ENDPOINT=agent.http), timeout_s=120)
    assert (code, err) == (0, "")
    shipped = agent.spans()
    ours, theirs = _by_id(own), _by_id(shipped)
    assert {span.name for span in own} == {span.name for span in shipped}
    assert ours.keys() == theirs.keys()
    for id, told in ours.items():
        assert theirs[id] == told


def test_a_spool_of_twenty_thousand_imports_arrives_once(agent: Agent, tmp_path: Path) -> None:
    """Of a process that was killed; followed while it runs, and shipped again afterwards."""
    imports = 20_000
    package = tmp_path / "many"
    package.mkdir()
    body = (
        "import os, signal\nfor number in range({imports}):\n    __import__(f'many.m{{number}}')\n"
    )
    (package / "__init__.py").write_text(
        body.format(imports=imports) + "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for number in range(imports):
        (package / f"m{number}.py").touch()
    (tmp_path / "main.py").write_text("import importtrace; importtrace.install()\nimport many\n")
    folder = tmp_path / "spool"
    sender = start(folder, "--follow", OTEL_EXPORTER_OTLP_ENDPOINT=agent.http)
    environ = {
        **{name: value for name, value in os.environ.items() if "IMPORTTRACE" not in name},
        "PYTHONPATH": str(Path(importtrace.__file__).parent.parent),
        "IMPORTTRACE_LOG": "off",
        "IMPORTTRACE_SPOOL": str(folder),
    }
    try:
        killed = subprocess.run(
            [sys.executable, "main.py"], cwd=tmp_path, env=environ, capture_output=True, timeout=300
        )
        assert (killed.returncode, killed.stderr) == (-9, b"")
        wanted = {"python.startup", "import many"}
        wanted |= {f"import many.m{number}" for number in range(imports)}
        deadline = time.monotonic() + 120
        while not wanted <= {span.name for span in agent.spans()}:
            assert sender.poll() is None
            assert time.monotonic() < deadline
            time.sleep(3)
    finally:
        sender.terminate()
        code, _, err = end(sender)
    assert code == 143
    assert err.endswith("nothing left\n")
    code, _, err = end(start(folder, OTEL_EXPORTER_OTLP_ENDPOINT=agent.http), timeout_s=120)
    assert (code, err) == (0, "")
    spans = agent.spans()
    assert len({span.id for span in spans}) == len(spans)
    names = [span.name for span in spans]
    assert sorted(name for name in names if name in wanted) == sorted(wanted)
    (outer,) = [span for span in spans if span.name == "import many"]
    assert outer.attributes["python.import.unfinished"] is True
    assert {span.parent for span in spans if span.name.startswith("import many.")} == {outer.id}
