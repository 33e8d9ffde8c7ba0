"""An engine behind TLS is reached as the docker command reaches it: by variables, or by a context."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docker.context import ContextAPI
from docker.tls import TLSConfig

from harness.certificates import Authority
from harness.engine import Engine
from harness.errors import EngineUnavailableError


class Answering(BaseHTTPRequestHandler):
    """As much of an engine as is asked of one at the start."""

    def do_GET(self) -> None:
        """Say its version, whatever is asked."""
        body = json.dumps({"ApiVersion": "1.45", "Version": "26.1.5"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Path:
    """What the docker command wants: whom to believe, and who one is. The engine's own are beside them."""
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.certificate, encoding="ascii")
    for name, prefix in (("client", ""), ("127.0.0.1", "server-")):
        issued = authority.issue(name)
        (tmp_path / f"{prefix}cert.pem").write_text(issued.certificate, encoding="ascii")
        (tmp_path / f"{prefix}key.pem").write_text(issued.key, encoding="ascii")
    return tmp_path


@pytest.fixture(name="address")
def _address(files: Path) -> Iterator[str]:
    """An engine that speaks TLS, and to nobody without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "server-cert.pem", files / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)


def version() -> tuple[int, ...]:
    engine = Engine.connect()
    try:
        return engine.version()
    finally:
        engine.client.close()


def test_by_variables(monkeypatch: pytest.MonkeyPatch, address: str, files: Path) -> None:
    """DOCKER_TLS_VERIFY asks for it, and the files are in DOCKER_CERT_PATH."""
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailableError):
        version()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(files))
    assert version() == (26, 1)


def test_by_a_context(monkeypatch: pytest.MonkeyPatch, address: str, files: Path) -> None:
    """A context has its own files."""
    monkeypatch.setenv("DOCKER_CONFIG", str(files))
    (files / "config.json").write_text("{}", encoding="ascii")
    own = (str(files / "cert.pem"), str(files / "key.pem"))
    trusted = TLSConfig(client_cert=own, ca_cert=str(files / "ca.pem"), verify=True)
    ContextAPI.create_context("far", host=address, tls_cfg=trusted)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert version() == (26, 1)
