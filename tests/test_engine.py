"""What becomes of a question that an engine stops answering, or answers with what is not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.engine import Engine, client_at
from harness.errors import CommandError, DeploymentError
from harness.nodes import Node


class Faltering(BaseHTTPRequestHandler):
    """An engine that goes away in the middle of what a command prints, or of what becomes of images."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Create an exec, or begin to answer what it prints, or what becomes of images."""
        if self.path.endswith("/images/load"):
            self.rfile.read(len(b"0\r\n\r\n"))  # an archive of nothing
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b'32\r\n{"')  # two of 50 bytes
            self.close_connection = True
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/start"):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"\1\0\0\0\0\0\0\x32")  # the head of 50 bytes, which do not come
            self.close_connection = True
            return
        body = b'{"Id": "1"}'
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """List containers, of which the last is not there when it is asked for, one network, and no volumes."""
        path = self.path.partition("?")[0]
        status = 200
        answer: object = {"Volumes": []} if path.endswith("/volumes") else []
        if path.endswith("/containers/json"):
            answer = CONTAINERS
        elif path.endswith("/networks") and "label" not in self.path:
            answer = NETWORKS
        elif "/containers/" in path:
            status, answer = (404, {"message": "No such container"}) if GHOST in path else (200, {"Id": LEAVING})
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


NETWORKS = [{"Id": "old", "Name": "old", "Labels": None, "IPAM": {"Config": [{"Subnet": "192.168.1.1/24"}]}}]
LEAVING, GHOST = "being-removed", "gone"
CONTAINERS = [
    {"Id": "there", "Names": ["/web"], "Labels": {"kept": "yes"}},
    {"Id": LEAVING, "Names": [], "Labels": {"kept": "yes"}},
    {"Id": GHOST, "Names": None, "Labels": {"kept": "yes"}},
]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Such an engine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Faltering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = client_at(f"tcp://127.0.0.1:{server.server_address[1]}")
        yield Engine(client)
        client.close()
        server.shutdown()


def test_an_engine_that_goes_away_in_mid_answer_is_one_sentence(engine: Engine) -> None:
    """What is half an answer is none: `CommandError` says which command of which container."""
    with pytest.raises(CommandError, match="cannot run wg show in gateway: "):
        engine.execute("gateway", ["wg", "show"])


def test_an_engine_that_goes_away_while_it_takes_images_is_one_sentence(engine: Engine) -> None:
    """Nobody knows then which of them it has."""
    with pytest.raises(DeploymentError, match="the engine does not take the images: "):
        engine.load_images(iter(()))


def test_a_network_from_before_engine_25_is_understood(engine: Engine) -> None:
    """Its subnet may be shown by an address in it."""
    (network,) = engine.networks()
    assert [str(subnet) for subnet in network.subnets] == ["192.168.1.0/24"]


def test_what_an_engine_lists_and_does_not_have_is_no_container(engine: Engine) -> None:
    """A container without a name is being removed, or is an engine's mistake, and no look stumbles over either."""
    assert [each.name for each in engine.listed("kept")] == ["web"]
    assert engine.labelled("kept") == [("container", "web", {"kept": "yes"})]
    assert engine.ghosts("project") == (GHOST,)


def test_a_container_without_any_variable_has_none(engine: Engine) -> None:
    """Docker says null where an image was made by `docker import`, nix or bazel."""
    assert Node(engine, "web", "web").environment({"Config": {"Env": None}}) == {}


@pytest.mark.parametrize(
    ("said", "attempts"),
    [
        ("exec failed: unable to start container process: read init-p: connection reset by peer: unknown", 2),
        (
            'exec failed: unable to start container process: exec: "curl": executable file not found in $PATH: unknown',
            1,
        ),
    ],
    ids=["never begun", "not there"],
)
def test_what_was_never_begun_is_begun_once_more(monkeypatch: pytest.MonkeyPatch, said: str, attempts: int) -> None:
    """An engine that lost runc's own first process has done nothing; a command that is not there stays so."""
    answers = [(126, f"OCI runtime exec failed: {said}\r\n".encode(), b""), (0, b"done", b"")]
    asked: list[str] = []

    def executed(_engine: Engine, container: str, *_words: object) -> tuple[int, bytes, bytes]:
        asked.append(container)
        return answers[len(asked) - 1]

    monkeypatch.setattr(Engine, "_executed", executed)
    result = Engine(client_at("tcp://127.0.0.1:9")).execute("web", ["true"])
    assert len(asked) == attempts
    assert (result.exit_status, result.stdout) == ((0, "done") if attempts > 1 else (126, answers[0][1].decode()))
