"""Pods of deploy/kubernetes run by podman: a service that fails, injected, is told of by OTLP.

Not part of any other suite: it needs root, pip, and from Debian podman, catatonit, runc, mmdebstrap.
    IMPORTTRACE_TEST_CONTAINERS=1 pytest tests/deploy/test_containers.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
NEEDED = ("podman", "catatonit", "mmdebstrap", "runc")
ARRIVES_S = 120.0
CONF = """
[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
"""
# What the two images have of Debian; importtrace's dependencies are laid beside it by pip.
DEBIAN = "base-files,dash,coreutils,python3-minimal,libpython3-stdlib"
SERVICE, INJECT = "localhost/importtrace-test-service:1", "localhost/importtrace-test-inject:1"

PYTHONPATH = (
    "            - {name: PYTHONPATH, value: /opt/importtrace}\n"  # as in deploy/image/Dockerfile
)

_missing = [tool for tool in NEEDED if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("IMPORTTRACE_TEST_CONTAINERS"),
        reason="containers: set IMPORTTRACE_TEST_CONTAINERS=1 to run them",
    ),
    pytest.mark.skipif(bool(_missing), reason=f"containers: not installed: {', '.join(_missing)}"),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="containers: only as root here"
    ),
]


class Podman:
    def __init__(self, folder: Path) -> None:
        conf = folder / "containers.conf"
        conf.write_text(CONF)
        self._env = {**os.environ, "CONTAINERS_CONF": str(conf)}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["podman", *arguments], env=self._env, capture_output=True, text=True, timeout=300
        )
        if check:
            assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """podman with two images: the service of examples/warmup_race, and the folder to inject."""
    folder = tmp_path_factory.mktemp("images")
    run = Podman(folder)
    root = folder / "root"
    debian = ["mmdebstrap", "--variant=extract", f"--include={DEBIAN}", "bookworm", str(root)]
    _do(debian, "mmdebstrap")
    root.chmod(0o755)  # containers run as another user
    (root / "usr/bin/python").symlink_to("python3")
    shutil.copytree(ROOT / "examples" / "warmup_race", root / "app")
    _image(run, root, folder / "service.tar", SERVICE)
    shutil.rmtree(root / "app")
    target = root / "opt" / "importtrace"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), str(ROOT)]
    _do(pip, "pip")
    _image(run, root, folder / "inject.tar", INJECT)
    return run


def _do(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"containers: {what} failed: {(done.stderr.splitlines() or [''])[-1]}")


def _image(podman: Podman, root: Path, tar: Path, name: str) -> None:
    subprocess.run(["tar", "-C", str(root), "-cf", str(tar), "."], check=True, timeout=300)
    path = "ENV PATH=/usr/local/bin:/usr/bin:/bin"  # as every published image has it
    podman("import", "--quiet", "--change", path, str(tar), name)
    tar.unlink()


class Receiver(ThreadingHTTPServer):
    """Takes OTLP over HTTP; the bodies hold every string in clear."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.bodies = b""
        self.more = threading.Condition()

    def wait_for(self, word: str) -> None:
        with self.more:
            seen = self.more.wait_for(lambda: word.encode() in self.bodies, ARRIVES_S)
        assert seen, f"{word} did not arrive; {len(self.bodies)} bytes did"


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.more:
            self.server.bodies += body
            self.server.more.notify_all()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(30)


def manifest(name: str, port: int) -> str:
    """The manifest as it is, but for the names that its user puts in, and what podman cannot do.

    The host's network; no restarts, since podman 4.3 restarts init containers as well, for ever; a
    sidecar as a container beside the service's, since it has no sidecars.
    """
    text = (KUBERNETES / name).read_text()
    changes = {
        "image: importtrace:0.1.0": f"image: {INJECT}",
        "image: your-service:1.0\n": f"image: {SERVICE}\n          command: [python3, /app/service.py]\n",
        "http://collector.importtrace:4318": f"http://127.0.0.1:{port}",
        "      automountServiceAccountToken: false\n": "      hostNetwork: true\n"
        "      restartPolicy: Never\n",
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    before, sidecar, after = text.partition("        - name: ship\n")
    if sidecar:
        settings, containers, rest = after.partition("      containers:\n")
        settings = settings.replace("          restartPolicy: Always\n", "")
        entry = f"          command: [python3, -m, importtrace]\n{settings}"
        entry = entry.replace("          env:\n", f"          env:\n{PYTHONPATH}", 1)
        text = before + containers + sidecar + entry + rest
    return text


@pytest.mark.parametrize("name", ["service-init-container.yaml", "service-with-shipper.yaml"])
def test_a_failing_service_is_told_of(name: str, podman: Podman, tmp_path: Path) -> None:
    """Its image knows nothing of importtrace; the cause of its failure arrives at the receiver."""
    with receiver() as server:
        file = tmp_path / name
        file.write_text(manifest(name, server.server_port))
        try:
            podman("play", "kube", str(file))
            server.wait_for("python.import.cause.kind")
            server.wait_for("thread_race")
            server.wait_for("your-service")
        finally:
            podman("play", "kube", "--down", str(file), check=False)
