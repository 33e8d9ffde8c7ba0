from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, cast

import pytest

from harness import experiment
from harness.errors import DeploymentError, WaitTimeoutError
from harness.experiment import Experiment
from harness.model import Budget

IMPATIENT = Budget(seconds=0.05, poll=0.01, reason="nothing is real here")


class Bench:
    """An experiment on a deployment of which only the health is known: `complaints`, empty when all is well."""

    def __init__(self) -> None:
        self.complaints = ""
        self.broken: list[str] = []
        self.steps: list[str] = []
        self.experiment = Experiment(cast("Any", self), self.step, self.broken.append, patience=IMPATIENT)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Note a step of the report."""
        self.steps.append(title)
        yield


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(experiment, "_complaints", lambda deployment: deployment.complaints)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Bench()
    signal.signal(signal.SIGINT, before)


def test_undos_run_in_reverse(bench: Bench) -> None:
    """What was changed last is mended first, between proofs of health before and after."""
    with bench.experiment.disturbance("cut") as undo:
        undo.callback(bench.steps.append, "mend first change")
        undo.callback(bench.steps.append, "mend second change")
    assert bench.steps == [
        "health, before: cut",
        "cut",
        "undo: cut",
        "mend second change",
        "mend first change",
        "health, after: cut",
    ]
    assert bench.broken == []


def test_a_failing_scenario_is_undone_too(bench: Bench) -> None:
    """A failed expectation comes through after everything was undone, and the deployment is fit for the next."""
    with pytest.raises(AssertionError, match="expectation"), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
        undo.callback(bench.steps.append, "mended")
        raise AssertionError("expectation")
    assert "mended" in bench.steps
    assert bench.broken == []


def test_ctrl_c_is_undone_too(bench: Bench) -> None:
    """Ctrl-C in a scenario undoes what it did; pressing it again while mending does not stop the mending."""
    with pytest.raises(KeyboardInterrupt), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
        undo.callback(bench.steps.append, "mended")
        undo.callback(os.kill, os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert bench.steps[-2:] == ["mended", "health, after: cut"]
    assert bench.broken == []


@pytest.mark.parametrize("error", [DeploymentError("gone"), RuntimeError("the engine refused")], ids=["own", "foreign"])
def test_an_undo_that_fails_marks_the_deployment_broken(bench: Bench, error: Exception) -> None:
    """Whatever kind of error an undo meets, nobody works on that deployment again, and the other undos still run."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
        undo.callback(bench.steps.append, "mended")
        undo.callback(fail)
    assert bench.broken == [f"cut could not be undone: {error}"]
    assert "mended" in bench.steps


def test_what_is_not_healthy_afterwards_is_broken(bench: Bench) -> None:
    """A deployment that does not recover is marked, with what is wrong with it."""
    with pytest.raises(WaitTimeoutError, match="web is unhealthy"), bench.experiment.disturbance("cut"):
        bench.complaints = "web is unhealthy"
    assert len(bench.broken) == 1
    assert "web is unhealthy" in bench.broken[0]


def test_nothing_is_broken_on_what_is_broken_already(bench: Bench) -> None:
    """Without health before, the disturbance does not begin, and the deployment is marked."""
    bench.complaints = "redis is down"
    with pytest.raises(WaitTimeoutError, match="redis is down"), bench.experiment.disturbance("cut"):
        pytest.fail("must not begin")
    assert "redis is down" in bench.broken[0]
