"""Servers that fork: each worker's trace is its own and names its parent's, and a hang at a fork is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from projects import servers

from importtrace.inject import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here"),
]

PACKAGES = (
    "gunicorn>=22",
    "gevent>=24",
    "packaging",
    "uvicorn>=0.30",
    "celery>=5.4",
    "wrapt>=1.16",
)

# One application for all: a module that it loads at once, one that it loads in a request.
FILES = {
    "app.py": """
        import os
        import early

        def application(environ, start_response):
            import late
            start_response("200 OK", [("Content-Type", "application/json")])
            return [late.answer()]
        """,
    "early.py": "value = 1\n",
    "late.py": "import json, os\ndef answer():\n    return json.dumps({'pid': os.getpid()}).encode()\n",
}


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of programs of an environment with the servers, made once."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = (
        Path(tempfile.gettempdir()) / f"importtrace-forks-{user}-{sys.implementation.cache_tag}"
    )
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install the servers: {reason}")
        (folder / "complete").touch()
    return folder / "bin"


def environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    path = os.pathsep.join([SITE, str(folder)])
    traces = str(folder / "{pid}.jsonl")
    return env | {"IMPORTTRACE": "1", "IMPORTTRACE_FILE": traces, "PYTHONPATH": path} | extra


def write(folder: Path, **files: str) -> None:
    from textwrap import dedent

    for name, text in {**FILES, **files}.items():
        (folder / name).write_text(dedent(text).lstrip())


def gunicorn(programs: Path, *options: str, app: str = "app") -> list[str]:
    return [
        str(programs / "gunicorn"),
        *("--bind", "127.0.0.1:{port}", "--no-control-socket", *options, f"{app}:application"),
    ]


def events(server: servers.Server, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in server.log.splitlines() if line.startswith('{"time')]
    return [event for event in found if event["event"] == name]


def wait_for(what: str, look: Callable[[], Any], server: servers.Server) -> Any:
    deadline = time.monotonic() + servers.START_S
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what}: {server.log}")
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("preload", [False, True], ids=["plain", "preload"])
def test_gunicorn(worker: str, preload: bool, programs: Path, tmp_path: Path) -> None:
    """Each worker's trace names the arbiter's; nothing hangs, and nothing is said of it."""
    write(tmp_path)
    options = ["--workers", "2", "--worker-class", worker, *(["--preload"] if preload else [])]
    env = environment(tmp_path, IMPORTTRACE_STALL_SECONDS="20")
    with servers.serving(gunicorn(programs, *options), env, tmp_path) as server:
        ready = server.wait_for_traces(tmp_path, 2)
        assert server.get("/")["pid"] in {trace.header["pid"] for trace in ready}
        assert server.stop() == 0
    arbiter = servers.Trace(tmp_path / f"{server.process.pid}.jsonl")
    assert "parent_trace" not in arbiter.header
    for trace in ready:
        parent = {"pid": server.process.pid, "start": arbiter.header["start"]}
        assert trace.header["parent_trace"] == parent
        assert trace.header["parent_pid"] == server.process.pid
        assert trace.header["start"] > arbiter.header["start"]
        assert ("early" in trace.modules) is not preload
        assert "orphaned" not in trace.header
        assert "stalls" not in trace.header
    assert ("early" in arbiter.modules) is preload
    assert "importtrace:" not in server.log
    assert not events(server, "import.fork_held")
    assert not events(server, "import.stalled")


def test_gunicorn_reload(programs: Path, tmp_path: Path) -> None:
    """A changed file starts a worker afresh: a trace of its own, with the new text's imports."""
    write(tmp_path)
    env = environment(tmp_path)
    command = gunicorn(programs, "--workers", "1", "--reload", "--reload-engine", "poll")
    with servers.serving(command, env, tmp_path) as server:
        (first,) = server.wait_for_traces(tmp_path, 1)
        assert server.get("/")["pid"] == first.header["pid"]
        (tmp_path / "added.py").write_text("")
        (tmp_path / "app.py").write_text("import added\n" + (tmp_path / "app.py").read_text())
        ready = server.wait_for_traces(tmp_path, 2)
        assert server.stop() == 0
    (second,) = [trace for trace in ready if trace.header["pid"] != first.header["pid"]]
    assert "added" in second.modules
    assert second.header["parent_trace"]["pid"] == server.process.pid
    assert "importtrace:" not in server.log


def test_gunicorn_worker_timeout(programs: Path, tmp_path: Path) -> None:
    """A worker that hangs in a request's import is killed; by then it has said where it stands."""
    write(tmp_path, **{"late.py": "import socket\na, b = socket.socketpair()\nb.recv(1)\n"})
    env = environment(tmp_path, IMPORTTRACE_STALL_SECONDS="1")
    command = gunicorn(programs, "--workers", "1", "--timeout", "6")
    with servers.serving(command, env, tmp_path) as server:
        server.wait_for_traces(tmp_path, 1)
        with request(server):
            wait_for("worker time-out", lambda: "WORKER TIMEOUT" in server.log, server)
            (event, *_) = wait_for("stall", lambda: events(server, "import.stalled"), server)
    assert event["module_name"] == "late"
    assert (Path(event["file"]).name, event["line"]) == ("late.py", 3)
    assert event["statement"] == "b.recv(1)"
    chain = event["threads"][0]["chain"]
    assert [link["statement"] for link in chain[-2:]] == ["import late", "b.recv(1)"]
    assert event["pid"] != server.process.pid
    trace = servers.Trace(tmp_path / f"{event['pid']}.jsonl")
    assert [stall["module"] for stall in trace.header["stalls"]] == ["late"]
    assert "app" in trace.modules


@contextmanager
def request(server: servers.Server) -> Iterator[None]:
    """A request that is not answered."""
    url = f"http://127.0.0.1:{server.port}/"
    code = f"import urllib.request; urllib.request.urlopen({url!r}, timeout=60)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


PRELOADED = {
    "app.py": """
        import json, threading
        import gate

        threading.Thread(target=__import__, args=("warm",), name="warmer", daemon=True).start()
        assert gate.inside.wait(20)

        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "application/json")])
            try:
                import warm
            except ImportError as error:
                import importtrace
                return [json.dumps(importtrace.explain(error).to_dict()).encode()]
            return [b"{}"]
        """,
    "gate.py": "import threading\ninside = threading.Event()\nleave = threading.Event()\n",
    "warm.py": "import gate\ngate.inside.set()\ngate.leave.wait(60)\n",
}


def test_gunicorn_preload_while_a_thread_imports(programs: Path, tmp_path: Path) -> None:
    """The arbiter warns at the fork; the worker that imports the module says why it hangs."""
    write(tmp_path, **PRELOADED)
    env = environment(tmp_path, IMPORTTRACE_STALL_SECONDS="5")
    with servers.serving(gunicorn(programs, "--preload"), env, tmp_path) as server:
        server.wait_for_traces(tmp_path, 1)
        (held,) = wait_for("warning", lambda: events(server, "import.fork_held"), server)
        with request(server):
            stalls = wait_for("stall", lambda: _with_cause(server), server)
    assert held["pid"] == server.process.pid
    assert [(one["module"], one["thread"]["name"]) for one in held["held"]] == [("warm", "warmer")]
    assert stalls[0]["cause"]["kind"] == "orphaned_lock"
    assert stalls[0]["cause"]["module"] == "warm"
    assert stalls[0]["pid"] != server.process.pid


def _with_cause(server: servers.Server) -> list[dict[str, Any]]:
    return [event for event in events(server, "import.stalled") if "cause" in event]


def test_gunicorn_preload_with_raise(programs: Path, tmp_path: Path) -> None:
    """The hang is an ImportError with its cause: the request is answered."""
    write(tmp_path, **PRELOADED)
    env = environment(tmp_path, IMPORTTRACE_ON_ORPHANED_LOCK="raise", IMPORTTRACE_LOG="off")
    with servers.serving(gunicorn(programs, "--preload"), env, tmp_path) as server:
        cause = server.get("/")
    assert (cause["kind"], cause["module"]) == ("orphaned_lock", "warm")
    assert cause["partial"]["held_by"]["thread"]["name"] == "warmer"


def test_uvicorn_workers(programs: Path, tmp_path: Path) -> None:
    """These are started afresh, not forked: no parent's trace, and nothing that a fork leaves."""
    app = """
        async def application(scope, receive, send):
            import early, os
            if scope["type"] == "lifespan":
                for kind in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{kind}.complete"})
                return
            start = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": b'{"pid": %d}' % os.getpid()})
        """
    write(tmp_path, **{"app.py": app})
    command = [str(programs / "uvicorn"), "--port", "{port}", "--workers", "2", "app:application"]
    with servers.serving(command, environment(tmp_path), tmp_path) as server:
        ready = server.wait_for_traces(tmp_path, 2)
        assert server.get("/")["pid"] in {trace.header["pid"] for trace in ready}
        server.stop()
    for trace in ready:
        assert trace.header["ready_by"] == "uvicorn"
        assert "parent_trace" not in trace.header
        assert "orphaned" not in trace.header
    assert "importtrace:" not in server.log


def test_celery_prefork(programs: Path, tmp_path: Path) -> None:
    """A pool process that a task runs in: its trace begins at the fork, with the task's own imports."""
    tasks = """
        import json, os
        from celery import Celery

        folder = os.path.dirname(os.path.abspath(__file__))
        app = Celery("tasks", broker="filesystem://")
        app.conf.broker_transport_options = {
            "data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue",
            "control_folder": folder + "/control",
        }
        os.makedirs(folder + "/queue", exist_ok=True)

        @app.task
        def work():
            import importtrace, late
            trace = importtrace.trace()
            modules = [record.module for record in trace.records]
            found = {"header": trace.header, "modules": modules}
            with open(folder + "/result.tmp", "w") as out:
                json.dump(found, out)
            os.rename(folder + "/result.tmp", folder + "/result.json")
        """
    write(tmp_path, **{"tasks.py": tasks})
    celery = [str(programs / "celery"), "-A", "tasks"]
    env = environment(tmp_path)
    worker = [*celery, "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO"]
    with servers.serving(worker, env, tmp_path) as server:
        quiet = {name: value for name, value in env.items() if not name.startswith("IMPORTTRACE")}
        quiet["PYTHONPATH"] = str(tmp_path)
        subprocess.run(
            [*celery, "call", "tasks.work"], env=quiet, cwd=tmp_path, check=True, timeout=60
        )
        result = tmp_path / "result.json"
        wait_for("result", result.exists, server)
        found = json.loads(result.read_text())
        assert server.stop() == 0
    header = found["header"]
    assert header["parent_trace"]["pid"] == header["parent_pid"] == server.process.pid
    assert header["pid"] != server.process.pid
    assert "late" in found["modules"]
    assert "celery" not in found["modules"]  # the parent's
    assert "orphaned" not in header
    left = servers.Trace(tmp_path / f"{header['pid']}.jsonl")
    assert left.header["parent_trace"] == header["parent_trace"]
    assert left.header["end"] == "exit"
    assert "late" in left.modules
    assert "importtrace:" not in server.log


def test_a_hang_under_gevent(programs: Path, tmp_path: Path) -> None:
    """Patched before us: our thread is a real one, and a greenlet's place is told only if it runs."""
    write(
        tmp_path,
        **{
            "busy.py": "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\n",
            "sleeps.py": "import gevent\ngevent.sleep(2)\n",
            "main.py": """
                from gevent import monkey; monkey.patch_all()
                import importtrace
                importtrace.install()
                import busy
                import sleeps
                """,
        },
    )
    env = environment(tmp_path, IMPORTTRACE_STALL_SECONDS="0.4", IMPORTTRACE="0")
    env["PYTHONPATH"] = str(Path(SITE).parents[2])
    done = subprocess.run(
        [str(programs / "python"), "main.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"time')]
    stalls = {one["module_name"]: one for one in found if one["event"] == "import.stalled"}
    assert Path(stalls["busy"]["file"]).name == "busy.py"
    assert stalls["busy"]["threads"][0]["chain"][-1]["module"] == "busy"
    assert "has ended" not in stalls["sleeps"]["summary"]
    assert "holder_alive" not in str(stalls["sleeps"])
