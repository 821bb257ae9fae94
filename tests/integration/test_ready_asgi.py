"""hypercorn and granian, injected by the environment alone: start-up ends where they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import ready_programs as programs
from projects import servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

PACKAGES = {"hypercorn": ("hypercorn>=0.17", "trio"), "granian": ("granian>=2",)}
BIND = {
    "hypercorn": ("--bind", "127.0.0.1:{port}"),
    "granian": ("--host", "127.0.0.1", "--port", "{port}"),
}


def command(program: str, *options: str) -> list[str]:
    python = programs.python_with(program, *PACKAGES[program])
    return [str(python.parent / program), *BIND[program], *options, "application:app"]


@pytest.mark.parametrize(
    ("program", "options", "workers", "text"),
    [
        ("hypercorn", (), 1, programs.ASGI),
        ("hypercorn", ("--workers", "0"), 1, programs.ASGI),
        ("hypercorn", ("--worker-class", "trio"), 1, programs.ASGI),
        ("hypercorn", ("--workers", "2"), 2, programs.ASGI),
        ("granian", ("--interface", "asgi"), 1, programs.ASGI),
        ("granian", ("--interface", "asgi", "--workers", "2"), 2, programs.ASGI),
        ("granian", ("--interface", "wsgi"), 1, programs.WSGI),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_each_worker_is_ready_after_the_lifespan_start_up(
    program: str, options: tuple[str, ...], workers: int, text: str, tmp_path: Path
) -> None:
    """What the lifespan start-up imports belongs to the start-up, what a request imports does not."""
    application = programs.write(tmp_path / "app", application=text)
    traces = tmp_path / "traces"
    env = programs.environment(traces, application)
    with servers.serving(command(program, *options), env, tmp_path) as server:
        answer = server.get("/")
        ready = server.wait_for_traces(traces, workers)
        server.stop()
        log = server.log
    assert len(ready) == workers
    assert {trace.header["ready_by"] for trace in ready} == {program}
    assert answer["pid"] in {trace.header["pid"] for trace in ready}
    for trace in ready:
        assert {"application", "warmed"} <= programs.before_ready(trace)
        assert "asked" not in programs.before_ready(trace)
    assert "importtrace:" not in log


@pytest.mark.parametrize("program", ["hypercorn", "granian"])
def test_a_start_up_that_fails_is_not_ready_and_ends_as_without_us(
    program: str, tmp_path: Path
) -> None:
    """The lifespan start-up imports what does not exist: no mark, and the program's own exit code."""
    text = programs.ASGI.replace(
        'await send({"type": "lifespan.startup.complete"})',
        'await send({"type": "lifespan.startup.failed", "message": "no"})',
    ).replace(
        "import warmed",
        "try:\n                    import wormed\n"
        "                except ImportError:\n                    import warmed",
    )
    application = programs.write(tmp_path / "app", application=text)
    codes = []
    traces = tmp_path / "traces"
    options = ("--interface", "asgi") if program == "granian" else ("--workers", "0")
    for folder in (None, traces):
        env = programs.environment(folder, application)
        with servers.serving(command(program, *options), env, tmp_path) as server:
            codes.append(server.process.wait(servers.START_S))
    assert codes[0] == codes[1]
    assert [servers.Trace(path).header.get("ready_by") for path in traces.iterdir()] != []
    assert {servers.Trace(path).header.get("ready_by") for path in traces.iterdir()} == {None}
