"""Faults of the catalogue: how soon each shows and is undone, beside making the deployment anew after each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from statistics import median

from bench.figures import Figure
from bench.ground import Ground, quiet
from bench.parts import Part
from harness import lifecycle
from harness.budgets import CONNECT_TIMEOUT
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.experiment import Experiment
from harness.faults import Fault, catalogue
from harness.trials import Trial
from harness.waiting import Deadline

NAME = "faults"
_SLACK = 0.1  # seconds above the probe's own time-out
_RESTORED = 0.3  # seconds until what was undone is proved
_STARTS = 0.6  # seconds more, either way, where containers start


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One fault: its whole experiment, and the re-creation that would have taken the place of its undoing."""

    trial: Trial
    whole: float
    recreation: float
    restarts: bool

    @property
    def recovery(self) -> float:
        return self.trial.recovery or 0.0

    @property
    def with_recreation(self) -> float:
        return self.whole - self.recovery + self.recreation


def measure(ground: Ground) -> Iterator[Figure]:
    """Evenly chosen faults that a client notices, each on a deployment of its own."""
    with ExitStack() as up:
        deployment = up.enter_context(ground.deployed())
        chosen = _chosen(deployment, ground.faults)
        tried = []
        for fault in chosen:
            ground.say(f"{NAME}: {fault.name}")
            trial, whole, restarts = _try(deployment, fault)
            took = Deadline(0)
            lifecycle.remove(ground.engine, deployment.run, say=quiet, graceful=False)
            up.close()
            deployment = up.enter_context(ground.deployed())
            tried.append(_Tried(trial=trial, whole=whole, recreation=took.elapsed, restarts=restarts))
    yield from _figures(tried)


def _figures(tried: Sequence[_Tried]) -> Iterator[Figure]:
    yield _symptoms("all", tried, CONNECT_TIMEOUT + _SLACK)
    quick = [each for each in tried if not each.restarts]
    slow = [each for each in tried if each.restarts]
    for kind, group, more in (("nothing restarts", quick, 0.0), ("containers restart", slow, _STARTS)):
        if not group:
            continue
        yield _symptoms(kind, group, CONNECT_TIMEOUT + _SLACK + more)
        recoveries = [each.recovery for each in group]
        yield Figure(
            part=NAME,
            name=f"undone and proved, {kind}",
            value=median(recoveries),
            unit="s",
            target=_RESTORED + more,
            note=f"median of {len(group)}",
            samples={"recoveries": recoveries},
        )
    ours, theirs = sum(each.whole for each in tried), sum(each.with_recreation for each in tried)
    yield Figure(
        part=NAME,
        name="undoing / re-creating after each",
        value=ours / theirs,
        target=0.30,
        note=f"{ours:.1f} s over {theirs:.1f} s for {len(tried)} faults, doctor included",
        samples={each.trial.fault: [each.whole, each.with_recreation] for each in tried},
    )


def _symptoms(kind: str, group: Sequence[_Tried], target: float) -> Figure:
    symptoms = [each.trial.symptom for each in group if each.trial.symptom is not None]
    return Figure(
        part=NAME,
        name=f"fault to symptom, {kind}",
        value=median(symptoms),
        unit="s",
        target=target,
        note=f"median of {len(group)}; the probe's time-out is {CONNECT_TIMEOUT} s",
        samples={"symptoms": symptoms},
    )


def _chosen(deployment: Deployment, count: int) -> list[Fault]:
    """So many faults, evenly from the whole catalogue."""
    fit = [
        fault
        for fault in catalogue()
        if deployment.plan.layout in fault.layouts
        and fault.symptom(deployment) is not None
        and fault.unavailable(deployment) is None
    ]
    count = min(count, len(fit))
    return [fit[number * len(fit) // count] for number in range(count)]


def _try(deployment: Deployment, fault: Fault) -> tuple[Trial, float, bool]:
    trials: list[Trial] = []
    broken: list[str] = []
    experiment = Experiment(deployment, _step, broken.append, on_trial=trials.append)
    for host in deployment.hosts:  # asked once of a deployment, which elsewhere serves many faults
        if host.project:
            _ = host.project.base
    before, took = _starts(deployment), Deadline(0)
    with experiment.inject(fault):
        experiment.show_symptom()
        experiment.diagnose()
    whole = took.elapsed
    if broken:
        raise HarnessError(broken[0])
    return trials[0], whole, _starts(deployment) != before


def _starts(deployment: Deployment) -> list[str]:
    return [str(node.inspect()["State"]["StartedAt"]) for node in deployment.everyone]


def _step(_title: str) -> AbstractContextManager[object]:
    return contextlib.nullcontext()


PART = Part(name=NAME, what="faults: until they show, until they are undone, and beside re-creation", measure=measure)
