from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import pytest

from harness import experiment
from harness.errors import DeploymentError, WaitTimeoutError
from harness.experiment import Experiment
from harness.faults import Fault
from harness.model import Budget
from harness.trials import Trial

from .evidence_samples import BACK, FRONT, MARIADB, Sample
from .test_rules_paths import a_dnat_rule_was_deleted

IMPATIENT = Budget(seconds=0.05, poll=0.01, reason="nothing is real here")


class Bench:
    """An experiment on a deployment of which only the health is known: `complaints`, empty when all is well."""

    def __init__(self) -> None:
        self.complaints = ""
        self.broken: list[str] = []
        self.steps: list[str] = []
        self.sample = Sample()
        self.trials: list[Trial] = []
        self.experiment = Experiment(
            cast("Any", self),
            self.step,
            self.broken.append,
            on_trial=self.trials.append,
            on_failure=lambda: self.steps.append("looked"),
            patience=IMPATIENT,
        )

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Note a step of the report."""
        self.steps.append(title)
        yield


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(experiment, "_complaints", lambda deployment, _saw: deployment.complaints)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    made = Bench()
    monkeypatch.setattr(
        experiment, "collect", lambda _deployment, *, seal, brief: made.sample.snapshot() if seal else brief
    )
    yield made
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM], ids=["pressed", "out of time"])
def test_mending_is_not_interrupted(bench: Bench, number: signal.Signals) -> None:
    """What comes while it mends, such as the end of a test's time, acts once all is mended: nothing is broken."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError("over")

    before = signal.signal(number, late)
    try:
        with pytest.raises(TimeoutError, match="over"), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
            undo.callback(bench.steps.append, "mended")
            undo.callback(os.kill, os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert bench.steps[-2:] == ["mended", "health, after: cut"]
    assert bench.broken == []


@pytest.mark.parametrize(
    ("error", "looked"), [(AssertionError, True), (pytest.fail.Exception, True), (KeyboardInterrupt, False)]
)
def test_what_failed_is_looked_at_while_it_is_there(bench: Bench, error: type[BaseException], *, looked: bool) -> None:
    """Also a test that took too long, which pytest ends by an exception of its own; not where somebody ends it."""
    with pytest.raises(error), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
        undo.callback(bench.steps.append, "mended")
        raise error("over")
    mended = bench.steps.index("mended")
    assert ("looked" in bench.steps[:mended]) is looked


def test_ctrl_c_is_undone_too(bench: Bench) -> None:
    """Ctrl-C in a scenario undoes what it did; pressing it again while mending does not stop the mending."""
    with pytest.raises(KeyboardInterrupt), bench.experiment.disturbance("cut") as undo:  # noqa: PT012 (what is in the block is disturbed)
        undo.callback(bench.steps.append, "mended")
        undo.callback(os.kill, os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert bench.steps[-2:] == ["mended", "health, after: cut"]
    assert bench.broken == []


@pytest.mark.parametrize(
    "error",
    [DeploymentError("gone"), RuntimeError("the engine refused"), pytest.fail.Exception("Timeout >300.0s")],
    ids=["own", "foreign", "pytest's"],
)
def test_an_undo_that_fails_marks_the_deployment_broken(bench: Bench, error: BaseException) -> None:
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


# --- faults of the catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub(Fault):
    """A fault that changes the bench's evidence; `undone` puts the healthy evidence back, or something like it."""

    change: Callable[[Sample], None]
    undone: Callable[[], Sample] = Sample

    @property
    def name(self) -> str:
        """Its name."""
        return "a fault"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return "nothing works"

    @property
    def roots(self) -> frozenset[str]:
        """The rule that names it."""
        return frozenset({"forward-rule-missing"})

    def apply(self, deployment: Any, undo: ExitStack) -> None:
        """Change the evidence."""
        undo.callback(lambda: setattr(deployment, "sample", self.undone()))
        deployment.sample = Sample()
        self.change(deployment.sample)


def _left(service: str, piece: str, old: str, new: str) -> Callable[[], Sample]:
    def left() -> Sample:
        sample = Sample()
        sample.change(service, piece, old, new)
        return sample

    return left


LEFT = {
    "mangle FORWARD -j LOG": _left(BACK, "rules", "COMMIT\n*filter", "[0:0] -A FORWARD -j LOG\nCOMMIT\n*filter"),
    "policy of filter FORWARD": _left(BACK, "rules", ":FORWARD DROP", ":FORWARD ACCEPT"),
    "ip_forward 0": _left(BACK, "sysctls", "ip_forward:1", "ip_forward:0"),
    "172.20.0.9:51820": _left(FRONT, "dump", "172.20.0.3:51820", "172.20.0.9:51820"),
    "unreachable 10.100.0.0/24": _left(FRONT, "routes", "blackhole", "unreachable"),
    "0644": _left(MARIADB, "secret-files", '"mode": "600"', '"mode": "644"'),
}


def _counted_on() -> Sample:
    """Time passes: counters, clocks and handshakes go on, and whoever was restarted has started later."""
    sample = Sample()
    sample.change(BACK, "rules", "[62:3720]", "[99:5940]")
    sample.change(BACK, "dump", "477620", "999999")
    sample.change(BACK, "rules", "57224", "40321")  # of Docker's name server
    sample.pieces[MARIADB]["log"] += "more\n"
    sample.containers[MARIADB] |= {"started_at": "2026-11-24T07:00:00Z", "restarts": 1, "id": "another"}
    return sample


def test_a_fault_is_tried_from_end_to_end(bench: Bench) -> None:
    """Put in, named, undone, as before: the trial says so with its times, and the deployment is fit for the next."""
    with bench.experiment.inject(Stub(change=a_dnat_rule_was_deleted, undone=_counted_on)):
        assert bench.experiment.show_symptom() is None
        assert bench.experiment.diagnose().roots == {"forward-rule-missing"}
    (trial,) = bench.trials
    assert (trial.fault, trial.right) == ("a fault", True)
    assert trial.found == frozenset({"forward-rule-missing"})
    assert trial.diagnosis is not None
    assert trial.recovery is not None
    assert bench.broken == []


def test_a_fault_that_does_not_take_is_an_error(bench: Bench) -> None:
    """What cannot be seen in the evidence was never put in: whatever is expected then proves nothing."""
    with (
        pytest.raises(DeploymentError, match="a fault was put in, and nothing that can be seen has changed"),
        bench.experiment.inject(Stub(change=lambda _sample: None)),
    ):
        pass
    assert bench.broken == []


@pytest.mark.parametrize("what", LEFT)
def test_what_is_not_as_it_was_is_broken(bench: Bench, what: str) -> None:
    """Healthy is not enough: whatever was left behind marks the deployment, and is shown."""
    with (
        pytest.raises(DeploymentError, match="not everything is as it was"),
        bench.experiment.inject(Stub(change=a_dnat_rule_was_deleted, undone=LEFT[what])),
    ):
        pass
    assert what in bench.broken[0]
    assert len(bench.trials) == 1


def test_a_trial_of_which_nobody_asked_the_doctor_is_not_right(bench: Bench) -> None:
    """It is recorded as what it is, also when the scenario fails before."""
    with (
        pytest.raises(AssertionError, match="too early"),
        bench.experiment.inject(Stub(change=a_dnat_rule_was_deleted)),
    ):
        raise AssertionError("too early")
    (trial,) = bench.trials
    assert (trial.found, trial.right) == (None, False)


def test_a_symptom_without_a_fault_is_an_error(bench: Bench) -> None:
    """There is nothing to show outside an injection."""
    with pytest.raises(DeploymentError, match="no fault is in"):
        bench.experiment.show_symptom()


def test_a_look_at_a_healthy_deployment_is_a_trial_too(bench: Bench) -> None:
    """A false alarm there counts as one."""
    assert bench.experiment.check_up().status == "healthy"
    a_dnat_rule_was_deleted(bench.sample)
    bench.experiment.check_up()
    assert [(trial.benign, trial.right) for trial in bench.trials] == [(True, True), (True, False)]
