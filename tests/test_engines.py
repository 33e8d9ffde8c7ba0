from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import engines
from harness.engine import Engine, client_at
from harness.engines import Engines
from harness.errors import ConfigurationError, EngineUnavailableError

from .answering import answer

HERE = "unix:///nonexistent/docker.sock"
THREE = ("ssh://root@a", "ssh://root@b:2222", "ssh://c/run/docker.sock")


def nobody_listens(_line: str) -> None:
    """Say it to nobody."""


@pytest.mark.parametrize(
    ("worker", "order"),
    [(0, ("a", "b:2222", "c")), (1, ("b:2222", "c", "a")), (2, ("c", "a", "b:2222")), (3, ("a", "b:2222", "c"))],
)
def test_workers_begin_on_one_engine_after_the_other(worker: int, order: tuple[str, ...]) -> None:
    """In turn; and each knows all others, for when its own is lost."""
    assert Engines(THREE, worker, say=nobody_listens).names == order


def test_where_none_are_named_it_is_the_docker_commands_own() -> None:
    """Which is not there in these tests; nothing is lost, and nothing is left of it."""
    own = Engines(say=nobody_listens)
    assert own.names == ()
    with pytest.raises(EngineUnavailableError, match="no Docker engine answers"):
        own.current()
    assert own.at_work is None
    assert own.loss() is None
    own.close()


def test_when_none_is_left_each_is_named_with_its_reason() -> None:
    """Said once when it is found out, and then by each test that would need one."""
    said: list[str] = []
    own = Engines([HERE], say=said.append)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match=r"no engine is left: this machine: .*No such file"):
            own.current()
    assert len(said) == 1
    assert "none is left" in said[0]


def test_a_docker_context_stands_for_its_engine() -> None:
    """The default one is always there."""
    assert engines.addresses("default, ssh://root@a")[0].startswith("unix:///")


def test_spaces_and_empty_words_are_nothing() -> None:
    """As people type lists."""
    assert engines.addresses(" ssh://root@a ,, ssh://root@b") == ("ssh://root@a", "ssh://root@b")
    with pytest.raises(ConfigurationError, match="names no engine"):
        engines.addresses(" , ")


class Answering(BaseHTTPRequestHandler):
    """As much of an engine as is asked of one before it is worked with."""

    def do_GET(self) -> None:
        """Answer what is asked for by its last word."""
        answer(self, {"OSType": "linux", "Architecture": "x86_64"} if self.path.endswith("/info") else "OK")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


class Old(Answering):
    """Docker Engine 20.10, which says so to whoever asks in a version of the API that it does not have."""

    def do_GET(self) -> None:
        """Refuse it."""
        if "/v1.44/" not in self.path:
            return super().do_GET()
        said = "client version 1.44 is too new. Maximum supported API version is 1.41"
        return answer(self, {"message": said}, 400)


class Dying(Answering):
    """An engine that answers once, and no more."""

    def do_GET(self) -> None:
        """Hang up."""
        if self.path.endswith("/_ping"):
            super().do_GET()


@contextmanager
def engine_that(kind: type[Answering]) -> Iterator[str]:
    """The address of such an engine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Old, r"cannot be used: it is too old, Docker Engine 25 or newer is needed: client version 1\.44 is too new"),
        (Dying, "stopped answering: "),
    ],
)
def test_an_engine_that_cannot_be_worked_with_is_passed_over(kind: type[Answering], reason: str) -> None:
    """It is named with what is wrong with it, be it too old, or gone a moment after it has answered."""
    said: list[str] = []
    with engine_that(kind) as bad, engine_that(Answering) as good:
        own = Engines([bad, good], say=said.append)
        assert own.current().client.info()["OSType"] == "linux"
        own.leave(str(own.at_work), "it is the end of this test")
        with pytest.raises(EngineUnavailableError, match=reason):
            next(own.every())
    assert len(said) == 2


def test_the_engine_here_may_end_and_others_are_worked_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has handed on its images is no longer there: the others make theirs themselves."""
    with ExitStack() as stack:
        here, there = (stack.enter_context(engine_that(kind)) for kind in (Dying, Answering))
        monkeypatch.setattr(Engine, "connect", _connecting(here))
        own = Engines([there], say=nobody_listens)
        assert own.current().supplier is None
        own.close()


def _connecting(address: str) -> Callable[[], Engine]:
    return lambda: Engine(client_at(address))
