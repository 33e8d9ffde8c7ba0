"""Faults of the catalogue: how soon each shows and is undone, beside making the deployment anew after each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from statistics import median

from bench.figures import Figure
from bench.ground import Ground, Say, quiet
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
    """One fault: its whole experiment, and the same with a re-creation in the place of undoing it."""

    trial: Trial
    whole: float
    with_recreation: float
    restarts: bool

    @property
    def recovery(self) -> float:
        return self.trial.recovery or 0.0


def measure(ground: Ground) -> Iterator[Figure]:
    """Evenly chosen faults that a client notices: all on one deployment, then each on a deployment of its own."""
    with ground.deployed() as deployment:
        chosen = _chosen(deployment, ground.faults)
        for host in deployment.hosts:  # asked once of a deployment
            if host.project:
                _ = host.project.base
        undone = [_undone(deployment, fault, ground.say) for fault in chosen]
    recreated = _recreated(ground, chosen)
    yield from _figures(
        [
            _Tried(trial=trial, whole=whole, restarts=restarts, with_recreation=other)
            for (trial, whole, restarts), other in zip(undone, recreated, strict=True)
        ]
    )


def _recreated(ground: Ground, chosen: Sequence[Fault]) -> Iterator[float]:
    """Seconds for each fault until the doctor has named it and there is a new deployment."""
    with ExitStack() as up:
        deployment = up.enter_context(ground.deployed())
        for fault in chosen:
            ground.say(f"{NAME}: {fault.name}, and all of it anew")
            experiment = Experiment(deployment, _step, _broken)
            took = Deadline(0)
            with experiment.inject(fault):
                experiment.show_symptom()
                experiment.diagnose()
                until_named = took.elapsed
            took = Deadline(0)
            lifecycle.remove(ground.engine, deployment.run, say=quiet, graceful=False)
            up.close()
            deployment = up.enter_context(ground.deployed())
            yield until_named + took.elapsed


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


def _undone(deployment: Deployment, fault: Fault, say: Say) -> tuple[Trial, float, bool]:
    """What came of one fault, its seconds from health to health, and whether any container was started for it."""
    say(f"{NAME}: {fault.name}")
    trials: list[Trial] = []
    experiment = Experiment(deployment, _step, _broken, on_trial=trials.append)
    before, took = _starts(deployment), Deadline(0)
    with experiment.inject(fault):
        experiment.show_symptom()
        experiment.diagnose()
    return trials[0], took.elapsed, _starts(deployment) != before


def _broken(reason: str) -> None:
    raise HarnessError(reason)


def _starts(deployment: Deployment) -> list[str]:
    return [str(node.inspect()["State"]["StartedAt"]) for node in deployment.everyone]


def _step(_title: str) -> AbstractContextManager[object]:
    return contextlib.nullcontext()


PART = Part(name=NAME, what="faults: until they show, until they are undone, and beside re-creation", measure=measure)
