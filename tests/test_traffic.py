"""What a load says of how long its clients were without an answer."""

from __future__ import annotations

from unittest import mock

from harness.deployment import Deployment
from harness.model import Budget
from harness.traffic import Load, _Client
from harness.waiting import wait_until

SILENCE = 0.3  # seconds
PASSES = Budget(seconds=10, poll=0.01, reason="time passes by itself, on a busy machine too")


class Once(_Client):
    """A client that is answered once, and never again."""

    def _answer(self, number: int) -> object:
        if number > 1:
            raise OSError
        return number

    def close(self) -> None:
        """Nothing is open."""


def pass_by(load: Load) -> None:
    """Let some time go by."""
    before = load.elapsed
    wait_until("time to pass", lambda: load.elapsed - before, lambda passed: passed > SILENCE, PASSES)


def test_a_silence_that_does_not_end_is_one() -> None:
    """It lasts up to now while the load runs, and up to its end afterwards, when nobody asks any more."""
    load = Load(("web",))
    with load._running({"web": Once(mock.create_autospec(Deployment, instance=True), keep=True)}):
        wait_until("the client to fail", load.failed, bool, PASSES)
        pass_by(load)
        during = load.longest_silence()
    afterwards = load.longest_silence()
    pass_by(load)
    assert SILENCE < during < afterwards
    assert load.longest_silence() == afterwards
