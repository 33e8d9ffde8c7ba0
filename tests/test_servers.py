"""Which ports of this machine the simulated servers are reached by, and what is said of one that does not boot."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import docker
import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as RequestsConnectionError

from harness import servers
from harness.addresses import ProdPlan
from harness.certificates import Authority
from harness.engine import Engine
from harness.errors import BringUpError, WaitTimeoutError
from harness.ownership import Run

PLAN = ProdPlan(index=97)


def test_plans_have_no_port_in_common() -> None:
    """Two deployments that choose at the same moment choose others, and none that the system gives away."""
    every = [port for index in range(100) for port in servers.free_ports(ProdPlan(index=index), 5)]
    assert len(set(every)) == len(every)
    assert max(every) < 32768


def test_a_port_that_somebody_has_is_passed_over() -> None:
    """Whatever listens there stays undisturbed."""
    first, second = servers.free_ports(PLAN, 2)
    with closing(socket.create_server(("127.0.0.1", first))):
        assert servers.free_ports(PLAN, 1) == [second]
    assert servers.free_ports(PLAN, 1) == [first]


def test_too_few_are_one_sentence() -> None:
    """How many there are, and what can be done."""
    with pytest.raises(BringUpError, match=r"needs 1000 ports of 127\.0\.0\.1 from 23880 to 23919, of which"):
        servers.free_ports(PLAN, 1000)


@pytest.mark.parametrize(
    "error",
    [
        WaitTimeoutError("waited 60 s for its engine; last seen: Connection refused"),
        RequestsConnectionError("the archive was not taken: Connection refused"),
        APIError("Connection refused"),
    ],
    ids=["never answers", "goes away", "refuses"],
)
@pytest.mark.parametrize("log", [b"cannot find cgroup mount destination", None], ids=["log", "no log"])
def test_a_server_that_does_not_boot_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, log: bytes | None
) -> None:
    """Why an engine in it does not start only its own log says, whatever it was waited for when that showed."""

    class Container:
        def start(self) -> None:
            raise error

        def logs(self, *, tail: int) -> bytes:
            if log is None:
                message = f"the engine has gone, and {tail} lines with it"
                raise RequestsConnectionError(message)
            return log

    monkeypatch.setattr(servers, "_write_certificates", lambda *_: None)
    monkeypatch.setattr(servers, "_write_ssh_key", lambda *_: None)
    run = Run.start(PLAN.index, tmp_path, layout="prod")
    servers.files_of(run, "web").mkdir(parents=True)
    made = SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: Container()))
    engine = Engine(cast("docker.DockerClient", made))
    wanted = servers.Specification(role="web", addresses={}, entrances={}, published=(), environment={}, images=())
    with pytest.raises(BringUpError, match=r"web-server does not come up: .*Connection refused") as caught:
        servers._boot(engine, PLAN, run, Authority(), wanted, {}, None)
    said = f"the last lines of its log:\n{log.decode()}" if log else "its log cannot be had: the engine has gone"
    assert said in str(caught.value)
