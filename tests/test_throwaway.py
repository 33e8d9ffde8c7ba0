"""Containers that are gone afterwards: nothing waits for one without a limit, and no image comes from elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docker.errors import APIError
from requests.exceptions import RequestException

from harness import engine as engines
from harness import layouts, preflight, throwaway
from harness.addresses import AddressPlan
from harness.engine import Engine, client_at
from harness.errors import CommandError, DeploymentError, PrerequisiteError
from harness.ownership import Run

from .answering import answer

IMAGE, ABSENT = "there:local", "absent:local"


class Playing(ThreadingHTTPServer):
    """As much of an engine as runs one container; asked for something else it says so."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []
        self.status = 0
        self.hangs = threading.Event()  # set once it may go on
        self.hangs.set()


class Answers(BaseHTTPRequestHandler):
    """Its answers."""

    server: Playing

    def do_POST(self) -> None:
        """Create, start, wait."""
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        match self.note():
            case "create" if (asked or {}).get("Image") == ABSENT:
                answer(self, {"message": f"No such image: {ABSENT}"}, 404)
            case "create":
                answer(self, {"Id": "one"}, 201)
            case "start":
                answer(self, None, 204)
            case "wait":
                self.server.hangs.wait(10)
                answer(self, {"StatusCode": self.server.status})
            case other:
                answer(self, {"message": f"{other} was not to be asked"}, 500)

    def do_GET(self) -> None:
        """Inspect it, its log, and events."""
        match self.note():
            case "events":
                self.server.hangs.wait(10)
                answer(self, {"time": 1, "Action": "die"})
            case "info":
                answer(self, {"SystemTime": "1970-01-01T00:10:00.5Z"})
            case "logs":
                text = b"\2\0\0\0\0\0\0\7no such"
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            case _:
                answer(self, {"Id": "one", "Name": "/one", "Config": {"Tty": False}})

    def do_DELETE(self) -> None:
        """Remove it."""
        self.note("remove")
        answer(self, None, 204)

    def note(self, what: str = "") -> str:
        """Remember what was asked."""
        path, _, words = self.path.partition("?")
        what = what or path.rpartition("/")[2]
        self.server.asked.append(f"{what}?{words}" if what == "events" else what)
        return what

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture(name="played")
def _played() -> Iterator[Playing]:
    with Playing() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.hangs.set()
        server.shutdown()


@pytest.fixture(name="engine")
def _engine(played: Playing) -> Iterator[Engine]:
    client = client_at(f"tcp://127.0.0.1:{played.server_address[1]}")
    yield Engine(client)
    client.close()


def test_a_command_is_seen_to_its_end(played: Playing, engine: Engine) -> None:
    """And nothing of it stays, whatever its exit status is."""
    played.status = 3
    result = throwaway.once(engine, IMAGE, ["false"], labels={})
    assert (result.exit_status, result.stderr) == (3, "no such")
    assert played.asked[-1] == "remove"


def test_what_does_not_end_is_given_up(played: Playing, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where signals are held back, nobody could end a wait without a limit but by kill -9."""
    monkeypatch.setattr(throwaway, "_ENDS_WITHIN", 0.2)
    played.hangs.clear()
    with pytest.raises(CommandError, match=r"there:local's image did not run to its end within 0\.2 s"):
        throwaway.once(engine, IMAGE, ["true"], labels={})
    assert played.asked[-1] == "remove"


def test_an_image_that_the_engine_lacks_is_not_pulled(played: Playing, engine: Engine) -> None:
    """A registry may have anything of that name, and it would be run with many rights."""
    with pytest.raises(CommandError, match="No such image"):
        throwaway.once(engine, ABSENT, ["true"], labels={})
    assert played.asked == ["create"]


def test_files_that_cannot_be_given_away_are_one_sentence(played: Playing, engine: Engine, tmp_path: Path) -> None:
    """Whether the container failed, or could not even be made."""
    played.status = 1
    with pytest.raises(DeploymentError, match=r"the files in .* cannot be given to who reads them: no such"):
        layouts.hand_over(engine, {})(tmp_path, {"db_password": 999})


def test_a_kernel_without_wireguard_is_one_sentence(
    played: Playing, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, and what to do."""
    monkeypatch.setenv("WG_IMPLEMENTATION", "kernel")
    run = Run.start(AddressPlan().index)
    preflight.require_wireguard(engine, run)
    played.status = 2
    with pytest.raises(PrerequisiteError, match=r"has no WireGuard \(no such\): load its module"):
        preflight.require_wireguard(engine, run)


def test_events_are_asked_for_by_the_engines_own_clock(played: Playing, engine: Engine) -> None:
    """An engine in a virtual machine that was asleep is behind, and would not end its answer for as long as that."""
    assert engine.events("web", ("oom", "die"), since=100) == [{"time": 1, "Action": "die"}]
    (asked,) = (each for each in played.asked if each.startswith("events"))
    assert "since=500&until=601&" in asked


def test_an_engine_that_hangs_over_its_events_is_not_waited_for(
    played: Playing, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They explain something, and a look at a deployment has to end without them."""
    monkeypatch.setattr(engines, "_PATIENCE", 0.2)
    played.hangs.clear()
    with pytest.raises(RequestException):
        engine.events("web", ("oom",), since=100)


def test_an_engine_that_refuses_is_told_by_its_own_words(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it answers with something else than JSON."""
    monkeypatch.setattr(Answers, "do_GET", lambda self: answer(self, {"message": "not now"}, 503))
    with pytest.raises(APIError):
        engine.now()
    assert engine.silence() == "not now"
    monkeypatch.setattr(Answers, "do_GET", lambda self: answer(self, ["what"], 503))
    assert engine.silence() == '["what"]'
