"""Environments with one program each for the tests of ready points, and a small application."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import venv
from pathlib import Path

import pytest
from projects import servers

# At start-up it imports `warmed`, in a request `asked`.
ASGI = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                import warmed
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return
    import asked
    body = json.dumps({"pid": asked.PID}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [[b"content-type", b"text/json"]]})
    await send({"type": "http.response.body", "body": body})
"""
WSGI = """
import json
import warmed

def app(environ, start_response):
    import asked
    start_response("200 OK", [("content-type", "text/json")])
    return [json.dumps({"pid": asked.PID}).encode()]
"""


def python_with(program: str, *packages: str) -> Path:
    """The Python of an environment with ``packages``, made once and kept in the temporary folder.

    importtrace is not installed there: injection brings it. Skips where pip cannot get them.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    name = f"importtrace-ready-{program}-{user}-{sys.implementation.cache_tag}"
    folder = Path(tempfile.gettempdir()) / name
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(python), "-m", "pip", "install", "--quiet", *packages, "wrapt>=1.16"]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install {program}: {reason}")
        (folder / "complete").touch()
    return python


def write(folder: Path, **modules: str) -> Path:
    """An application's modules in a folder of their own, ``warmed`` and ``asked`` with them."""
    folder.mkdir()
    modules |= {"warmed": "READY = True\n", "asked": "import os\nPID = os.getpid()\n"}
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def environment(traces: Path | None, application: Path, **extra: str) -> dict[str, str]:
    """The environment of a program that finds ``application``; injected if ``traces`` is a folder."""
    if traces is not None:
        traces.mkdir(exist_ok=True)
    env = servers.environment(traces, "", IMPORTTRACE_LOG="off", **extra)
    parts = env["PYTHONPATH"].split(os.pathsep)
    return env | {"PYTHONPATH": os.pathsep.join([*parts[:-1], str(application)])}


def before_ready(trace: servers.Trace) -> set[str]:
    """The modules that were loaded in the start-up."""
    ready = trace.header["ready_ns"]
    return {r["module"] for r in trace.records if r["kind"] == "load" and r["start_ns"] < ready}
