"""Spans over TLS, by HTTP and by gRPC: whom the sender trusts, and how it shows who it is."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from otlp_support import EXIT, make, record, start
from ship_support import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from receivers import Agent

pytest_plugins = ["receivers"]
pytestmark = pytest.mark.integration

TRACE = make(record("load", 1, "app"), ready_ns=10**9)
NAMES = {"python.startup", "import app"}


class Tls:
    """Takes TLS on ``port``, passes on what is inside to ``behind``. Both protocols."""

    def __init__(self, behind: str, context: ssl.SSLContext) -> None:
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._context = context
        self._behind = (urlsplit(behind).hostname, urlsplit(behind).port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            plain.settimeout(20)
            with (
                self._context.wrap_socket(plain, server_side=True) as outer,
                socket.create_connection(self._behind) as inner,
                selectors.DefaultSelector() as both,
            ):
                both.register(outer, selectors.EVENT_READ, inner)
                both.register(inner, selectors.EVENT_READ, outer)
                while True:
                    for key, _ in both.select(20):
                        data = key.fileobj.recv(1 << 16)
                        while key.fileobj is outer and outer.pending():
                            data += outer.recv(outer.pending())
                        if not data:
                            return
                        key.data.sendall(data)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and self-signed certificates of 127.0.0.1, the server's and the client's; skips where there is
    no openssl."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "client"):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no certificate without openssl: {error}")
    return folder


@pytest.fixture
def context(certificates: Path) -> ssl.SSLContext:
    it = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    it.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return it


@pytest.fixture(params=["http/protobuf", "grpc"])
def tls(
    request: pytest.FixtureRequest, agent: Agent, context: ssl.SSLContext
) -> Iterator[dict[str, str]]:
    """The environment of a sender to a collector behind TLS."""
    server = Tls(agent.grpc if request.param == "grpc" else agent.http, context)
    yield {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{server.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
        "IMPORTTRACE_EXPORT_TIMEOUT_S": "8",
    }
    server.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_one_s_own(
    tls: dict[str, str], trusted: bool, agent: Agent, tmp_path: Path, certificates: Path
) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE decides whom we trust; nothing is sent to anybody else."""
    if trusted:
        tls["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(certificates / "server.pem")
    _, _, err = end(start(tmp_path, TRACE, EXIT, **tls))
    assert {span.name for span in agent.spans()} == (NAMES if trusted else set())
    assert ("not sent" in err) is not trusted


@pytest.mark.parametrize("shown", [True, False])
def test_a_collector_that_asks_who_it_is(
    tls: dict[str, str],
    context: ssl.SSLContext,
    shown: bool,
    agent: Agent,
    tmp_path: Path,
    certificates: Path,
) -> None:
    """The client's certificate and key are shown where the variables name them."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "client.pem")
    tls["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(certificates / "server.pem")
    if shown:
        tls["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str(certificates / "client.pem")
        tls["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(certificates / "client.key")
    _, _, err = end(start(tmp_path, TRACE, EXIT, **tls))
    assert {span.name for span in agent.spans()} == (NAMES if shown else set())
    assert ("not sent" in err) is not shown
