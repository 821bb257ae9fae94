"""Real servers for the end-to-end tests: an environment with them, and one running on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from importtrace.inject import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECTS = Path(__file__).parent
PACKAGES = ("django>=5", "djangorestframework>=3.15", "gunicorn>=22", "uvicorn>=0.30")
PACKAGES += ("fastapi>=0.110", "sqlalchemy>=2")
OURS = ("wrapt>=1.16", "structlog>=24.1", "opentelemetry-sdk>=1.27")
OURS += ("opentelemetry-exporter-otlp>=1.27",)
START_S = 90.0
STOP_S = 30.0


def environment_python() -> Path:
    """The Python of an environment with the servers, made once and kept in the temporary folder.

    importtrace is not installed there: injection brings it. Skips where pip cannot get them.
    """
    tag = f"importtrace-servers-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder = Path(tempfile.gettempdir()) / f"{tag}-{sys.implementation.cache_tag}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES, *OURS]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install the servers: {reason}")
        complete.touch()
    return python


def python_with_us(code: str) -> str:
    """What ``code`` prints in that environment, with importtrace importable."""
    package = str(Path(SITE).parents[2])
    done = subprocess.run(
        [str(environment_python()), "-c", code],
        env={**environment(None, "notes"), "PYTHONPATH": package},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_undo(integration: str, module: str, owner: str, method: str) -> None:
    """``undo`` puts back the very object it took, unless something else stands there by now."""
    code = f"""
import {module} as module
from importtrace.integrations.{integration} import patch
original = vars(module.{owner})["{method}"]
undo = patch(module, print)
ours = vars(module.{owner})["{method}"]
undo()
print(ours is original, vars(module.{owner})["{method}"] is original)
undo = patch(module, print)
other = module.{owner}.{method} = lambda *args: None
undo()
print(vars(module.{owner})["{method}"] is other)
"""
    assert python_with_us(code) == "False True\nTrue\n"


def environment(traces: Path | None, project: str, **extra: str) -> dict[str, str]:
    """A server's environment: injected if ``traces`` says where the trace files go."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    path = [str(PROJECTS / project)]
    if traces is not None:
        env |= {"IMPORTTRACE": "1", "IMPORTTRACE_FILE": str(traces / "{pid}.jsonl")}
        path.insert(0, SITE)
    return env | {"PYTHONPATH": os.pathsep.join(path)} | extra


@dataclass
class Server:
    """A running server; ``log`` is what it wrote, stdout and stderr together."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    @property
    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def get(self, path: str) -> Any:
        """The JSON that the server answers, as soon as it answers."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}{path}", timeout=30
                ) as at:
                    assert at.status == 200
                    return json.loads(at.read())
            except urllib.error.HTTPError as error:
                pytest.fail(f"GET {path} answered {error.code}: {self.log}")
            except OSError:
                if self.process.poll() is not None:
                    pytest.fail(f"ended with {self.process.returncode}: {self.log}")
                if time.monotonic() > deadline:
                    pytest.fail(f"no answer to GET {path} after {START_S} s: {self.log}")
                time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end as an orchestrator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def wait_for_traces(self, folder: Path, count: int) -> list[Trace]:
        """The traces of ``count`` processes that are ready; a file appears whole or not at all."""
        deadline = time.monotonic() + START_S
        while True:
            found = [Trace(path) for path in sorted(folder.glob("*.jsonl"))]
            ready = [trace for trace in found if trace.header.get("ready_by")]
            if len(ready) >= count:
                return ready
            if time.monotonic() > deadline or self.process.poll() is not None:
                headers = [trace.header for trace in found]
                pytest.fail(f"{len(ready)} of {count} traces ready: {headers}; {self.log}")
            time.sleep(0.05)


class Trace:
    """A trace file as JSON: these tests read the contract, not our reader of it."""

    def __init__(self, path: Path) -> None:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.header: dict[str, Any] = lines[0]
        self.records: list[dict[str, Any]] = lines[1:]

    @property
    def modules(self) -> set[str]:
        return {record["module"] for record in self.records if record["kind"] == "load"}


@contextmanager
def serving(command: list[str], env: dict[str, str], folder: Path) -> Iterator[Server]:
    """``command``, ``{port}`` filled in, run in ``folder``; killed at the end with its group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    output = folder / "log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command],
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process, port, output)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # workers outlive a killed master
        except ProcessLookupError:
            pass
        process.wait(STOP_S)
