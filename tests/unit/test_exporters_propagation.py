"""The trace context in the environment: what a process was given, and what it gives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
PROGRAM = """
import os, sys
import importtrace
before = dict(os.environ)
session = importtrace.install(log="off", spans="off")
print(os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE"))
changed = [name for name in {*os.environ, *before} if os.environ.get(name) != before.get(name)]
print(sorted(changed))
"""
UNDO = "session.uninstall()\nprint(dict(os.environ) == before)\n"


def _run(code, **environ):
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], env=keep | environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_by_default_the_environment_is_left_alone():
    """The traced program sees it."""
    assert _run(PROGRAM + UNDO) == ["None None", "[]", "True"]
    assert _run(PROGRAM + UNDO, TRACEPARENT=GIVEN)[0] == f"{GIVEN} None"


def test_on_request_children_get_the_root_span():
    """Of a trace of its own; uninstall puts back what was there."""
    context, changed, undone = _run(PROGRAM + UNDO, IMPORTTRACE_PROPAGATE="on")
    version, trace, span, flags = context.split()[0].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert changed == "['TRACEPARENT']"
    assert undone == "True"


def test_a_given_trace_is_continued_with_its_flags():
    """Who did not sample the parent does not sample us."""
    given = {"TRACEPARENT": GIVEN, "TRACESTATE": "k=v", "IMPORTTRACE_PROPAGATE": "on"}
    context, state = _run(PROGRAM + UNDO, **given)[0].split()
    assert context.split("-")[1] == GIVEN.split("-")[1]
    assert context.split("-")[2] != GIVEN.split("-")[2]
    assert context.endswith("-00")
    assert state == "k=v"


def test_the_trace_says_what_was_given_not_what_it_gives(tmp_path):
    """Else the root would be its own parent."""
    file = tmp_path / "t.jsonl"
    given = {"TRACEPARENT": GIVEN, "IMPORTTRACE_PROPAGATE": "on", "IMPORTTRACE_FILE": str(file)}
    code = "import importtrace; importtrace.install(log='off', spans='off'); import wave"
    assert _run(code, **given) == []
    assert GIVEN in file.read_text().splitlines()[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_hangs_under_its_parent(tmp_path):
    """And gives its own span to its children."""
    code = PROGRAM + (
        "import traceback\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    import wave\n"
        "    print(os.environ['TRACEPARENT'], flush=True)\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    file = str(tmp_path / "t.{pid}.jsonl")
    code = code.replace("spans='off'", "spans='off'").replace(
        'spans="off")', f'spans="off", file={file!r}, propagate="on")'
    )
    lines = _run(code)
    parents = {line.split()[0] for line in lines if line.startswith("00-")}
    assert len(parents) == 2
    heads = [path.read_text().splitlines()[0] for path in tmp_path.iterdir()]
    assert sum("traceparent" in head for head in heads) == 1
    assert len({context.split("-")[1] for context in parents}) == 1
