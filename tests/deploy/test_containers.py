"""deploy/ in containers: its images are built, its pods and its Compose file run by podman. A service
that fails, injected, is told of by OTLP.

Not part of any other suite: it needs root, pip, and from Debian podman, catatonit, runc, mmdebstrap, and
for the Compose file golang-github-containernetworking-plugin-dnsname.
    IMPORTTRACE_TEST_CONTAINERS=1 pytest tests/deploy/test_containers.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import venv
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
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
DEBIAN = "base-files,dash,coreutils,python3-minimal,libpython3-stdlib,python3-pip"
PYTHON, SERVICE, INJECT, LAYER, COLLECTOR = (
    f"localhost/importtrace-test-{name}:1"
    for name in ("python", "service", "inject", "layer", "collector")
)
# What pip needs of the host inside a build.
CERTIFICATES = ("/etc/ssl", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
DNSNAME = Path("/usr/lib/cni/dnsname")

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
        self.env = {**os.environ, "CONTAINERS_CONF": str(conf)}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["podman", *arguments], env=self.env, capture_output=True, text=True, timeout=300
        )
        if check:
            assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """podman with images: a Python as ``python:3.13-slim`` is one, the service of
    examples/warmup_race on it, and those of deploy/image, built as its files say."""
    folder = tmp_path_factory.mktemp("images")
    run = Podman(folder)
    root = folder / "root"
    debian = ["mmdebstrap", "--variant=extract", f"--include={DEBIAN}", "bookworm", str(root)]
    _do(debian, "mmdebstrap")
    root.chmod(0o755)  # containers run as another user
    (root / "usr/bin/python").symlink_to("python3")
    _image(run, root, folder / "python.tar", PYTHON, 'CMD ["sleep", "infinity"]')
    shutil.copytree(ROOT / "examples" / "warmup_race", root / "app")
    _image(run, root, folder / "service.tar", SERVICE, 'CMD ["python3", "/app/service.py"]')
    _build(run, "Dockerfile", INJECT, ROOT, PYTHON=PYTHON)
    _build(run, "layer.Dockerfile", LAYER, DEPLOY / "image", SERVICE=SERVICE, IMPORTTRACE=INJECT)
    return run


def _build(podman: Podman, file: str, name: str, context: Path, **arguments: str) -> None:
    command = ["build", "--network", "host", "--file", str(DEPLOY / "image" / file), "--tag", name]
    for folder in CERTIFICATES:
        if os.path.isdir(folder):
            command += ["--volume", f"{folder}:{folder}:ro"]
    command += [f"--env={key}={value}" for key, value in os.environ.items() if key == "PIP_CERT"]
    command += [f"--build-arg={key}={value}" for key, value in arguments.items()]
    podman(*command, str(context))


def _do(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"containers: {what} failed: {(done.stderr.splitlines() or [''])[-1]}")


def _image(podman: Podman, root: Path, tar: Path, name: str, *changes: str) -> None:
    subprocess.run(["tar", "-C", str(root), "-cf", str(tar), "."], check=True, timeout=300)
    path = "ENV PATH=/usr/local/bin:/usr/bin:/bin"  # as every published image has it
    options = [word for change in (path, *changes) for word in ("--change", change)]
    podman("import", "--quiet", *options, str(tar), name)
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
        "image: your-service:1.0-traced": f"image: {LAYER}",
        "image: your-service:1.0\n": f"image: {SERVICE}\n",
        "http://collector.importtrace:4318": f"http://127.0.0.1:{port}",
        "      automountServiceAccountToken: false\n": "      hostNetwork: true\n"
        "      restartPolicy: Never\n",
    }
    for old, new in changes.items():
        assert old in text or old.startswith("image"), old
        text = text.replace(old, new)
    assert text.count("image: localhost/") == text.count("image: ")
    before, sidecar, after = text.partition("        - name: ship\n")
    if sidecar:
        settings, containers, rest = after.partition("      containers:\n")
        settings = settings.replace("          restartPolicy: Always\n", "")
        text = before + containers + sidecar + settings + rest
    return text


@pytest.mark.parametrize("name", sorted(path.name for path in KUBERNETES.glob("service-*.yaml")))
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


def test_an_image_layer_is_switched_off_until_it_is_switched_on(podman: Podman) -> None:
    """The service's own output without a word of ours; with one variable, the cause."""
    run = ["run", "--rm", "--network", "none", "--read-only"]
    assert "importtrace" not in podman(*run, LAYER, check=False)
    told = podman(*run, "--env", "IMPORTTRACE=1", LAYER, check=False)
    assert "importtrace: threads raced" in told or "[thread_race]" in told
    assert "usage: importtrace" in podman(*run, INJECT)


COLLECTS = """
import http.server, sys
class Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for word in (b"your-service", b"container.id", b"import exceptions.exceptions_service",
                     b"thread_race"):
            print("had" if word in body else "lacked", word.decode(), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
with open("/etc/otelcol/config.yaml") as given:
    assert "tail_sampling" in given.read()
assert sys.argv[1:] == ["--config=/etc/otelcol/config.yaml"], sys.argv
http.server.HTTPServer(("", 4318), Taking).serve_forever()
"""


@pytest.mark.skipif(not DNSNAME.exists(), reason="no dnsname plugin: podman resolves no names")
def test_the_compose_file_runs(podman: Podman, tmp_path: Path) -> None:
    """As it is, by podman-compose; what stands for Jaeger and the collector only takes what is sent."""
    (tmp_path / "collect.py").write_text(COLLECTS)
    (tmp_path / "Dockerfile").write_text(
        f'FROM {PYTHON}\nCOPY collect.py /\nENTRYPOINT ["python", "/collect.py"]\n'
    )
    podman("build", "--tag", COLLECTOR, str(tmp_path))
    venv.create(tmp_path / "venv", with_pip=True)
    program = tmp_path / "venv" / "bin" / "podman-compose"
    _do([str(program.with_name("pip")), "install", "--quiet", "podman-compose"], "pip")
    env = {
        **podman.env,
        "SERVICE_IMAGE": SERVICE,
        "IMPORTTRACE_IMAGE": INJECT,
        "COLLECTOR_IMAGE": COLLECTOR,
        "JAEGER_IMAGE": PYTHON,
    }
    compose = [str(program), "--project-name", f"importtrace-test-{os.getpid()}"]
    compose += ["--file", str(DEPLOY / "compose.yaml")]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*compose, *arguments], env=env, capture_output=True, text=True, timeout=300
        )
        return done.stdout + done.stderr

    try:
        started = run("up", "--detach")
        deadline = time.monotonic() + ARRIVES_S
        while "had thread_race" not in (seen := run("logs", "collector")):
            assert time.monotonic() < deadline, started + seen + run("logs", "service")
            time.sleep(1)
    finally:
        run("down", "--volumes")
    assert "had your-service" in seen
    assert "had container.id" in seen
    assert "had import exceptions.exceptions_service" in seen
