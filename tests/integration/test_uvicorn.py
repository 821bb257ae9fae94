"""FastAPI and SQLAlchemy under uvicorn, injected by the environment alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from projects import servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def command(application: str, *options: str) -> list[str]:
    uvicorn = str(servers.environment_python().parent / "uvicorn")
    return [uvicorn, "--host", "127.0.0.1", "--port", "{port}", *options, application]


def test_start_up_ends_when_the_server_listens(tmp_path: Path) -> None:
    """After the application's lifespan: what that imports belongs to the start-up."""
    traces = tmp_path / "traces"
    traces.mkdir()
    env = servers.environment(traces, "shop", IMPORTTRACE_LOG="off")
    with servers.serving(command("shop.main:app"), env, tmp_path) as server:
        assert server.get("/items") == ["lamp"]
        (trace,) = server.wait_for_traces(traces, 1)
        server.stop()
        log = server.log
    assert trace.header["ready_by"] == "uvicorn"
    assert trace.header["pid"] == server.process.pid
    assert {"shop.routers.items", "sqlalchemy", "fastapi"} <= trace.modules
    assert "importtrace:" not in log


@pytest.mark.parametrize(
    ("options", "count"), [(("--workers", "2"), 2), (("--reload",), 1)], ids=["workers", "reload"]
)
def test_the_processes_that_serve_are_the_ready_ones(
    options: tuple[str, ...], count: int, tmp_path: Path
) -> None:
    """Under a supervisor each serving process, started afresh, is injected and marked."""
    traces = tmp_path / "traces"
    traces.mkdir()
    env = servers.environment(traces, "shop", IMPORTTRACE_LOG="off")
    with servers.serving(command("shop.main:app", *options), env, tmp_path) as server:
        assert server.get("/items") == ["lamp"]
        ready = server.wait_for_traces(traces, count)
        server.stop()
    assert len(ready) == count
    assert {trace.header["ready_by"] for trace in ready} == {"uvicorn"}
    assert server.process.pid not in {trace.header["pid"] for trace in ready}


def test_an_import_error_in_a_router_is_explained_in_the_log(tmp_path: Path) -> None:
    """The traceback that uvicorn lets through ends with the cause; all else is as without us."""
    ends = []
    for traces in (None, tmp_path):
        env = servers.environment(traces, "shop", IMPORTTRACE_LOG="off")
        with servers.serving(command("shop.broken:app"), env, tmp_path) as server:
            ends.append((server.process.wait(servers.START_S), server.log))
    (code_without, log_without), (code, log) = ends
    assert code == code_without == 1
    assert log.startswith(log_without)
    explanation = log[len(log_without) :]
    assert "[circular]" in explanation
    orders = servers.PROJECTS / "shop" / "shop" / "routers" / "orders.py"
    lines = orders.read_text().splitlines()
    stands, would_bind = "from shop.pricing import price", 'CURRENCY = "EUR"'
    assert f"{orders}, line {lines.index(stands) + 1}" in explanation
    assert f"line {lines.index(would_bind) + 1}" in explanation


def test_undo_restores_the_method_itself() -> None:
    """By identity; and what somebody else has put around ours since stays."""
    servers.check_undo("uvicorn", "uvicorn.server", "Server", "startup")


def test_a_failing_start_up_looks_as_without_us(tmp_path: Path) -> None:
    """An exception that passes the ready point has no frame of ours, and marks nothing."""
    code = """
import asyncio, sys, traceback, uvicorn.server
from importtrace.integrations import uvicorn as integration

class Lifespan:
    should_exit = False
    async def startup(self):
        raise RuntimeError("no database")

def files():
    server = uvicorn.server.Server(uvicorn.Config("x:y"))
    server.lifespan = Lifespan()
    try:
        asyncio.run(server.startup())
    except RuntimeError as error:
        return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]

marks = []
without = files()
integration.patch(uvicorn.server, marks.append)
print(files() == without, marks)
"""
    assert servers.python_with_us(code) == "True []\n"
