"""A capture that cannot be ended hides nothing, and is no capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from docker.errors import APIError

from harness import capture
from harness.errors import CommandError, DeploymentError
from harness.model import CommandResult
from harness.nodes import Node


class Api:
    """An engine that forgets the capture once its container has gone."""

    def exec_create(self, *_words: object, **_options: object) -> dict[str, str]:
        """Take note of it."""
        return {"Id": "1"}

    def exec_start(self, *_words: object, **_options: object) -> None:
        """Begin it."""

    def exec_inspect(self, _identity: str) -> dict[str, bool]:
        """Know of none."""
        message = "No such exec instance"
        raise APIError(message)


class Gateway:
    """A container that may go while packets are captured in it."""

    service = name = "wireguard-web"

    def __init__(self, *, runs: bool = False) -> None:
        self.runs = runs
        self.gone = False
        self.engine = SimpleNamespace(client=SimpleNamespace(api=Api()))

    def run(self, *argv: str, user: str) -> CommandResult:
        """Run a command, as long as it is there."""
        if self.gone and not self.runs:
            message = f"cannot run {argv[0]} as {user}: it is not running"
            raise CommandError(message)
        return CommandResult(argv=argv, exit_status=0, stdout="listening on eth0", stderr="", duration=0)


@pytest.mark.parametrize("gateway", [Gateway(), Gateway(runs=True)], ids=["container gone", "engine forgets"])
def test_what_a_test_fails_by_is_not_hidden(gateway: Gateway) -> None:
    """A scenario in which the gateway goes fails by what it says itself."""

    def fail() -> None:
        with capture._captured(cast("Node", gateway), "eth0", "192.0.2.1:1", ""):
            gateway.gone = True
            pytest.fail("nothing came through")

    with pytest.raises(pytest.fail.Exception, match="nothing came through"):
        fail()


def test_a_capture_that_cannot_be_ended_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else has failed it does."""
    monkeypatch.setattr(capture, "_drain", lambda *_: None)
    with (
        pytest.raises(DeploymentError, match="whether the capture in wireguard-web has ended cannot be told: No such"),
        capture._captured(cast("Node", Gateway(runs=True)), "eth0", "192.0.2.1:1", ""),
    ):
        pass
