"""Breaking a deployment and mending it: baseline, disturb, observe, restore, prove.

Health is proved before and after, here and nowhere else. What cannot be restored marks the deployment broken, and it
is recreated before anything else runs on it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from harness import recreation
from harness.budgets import RECOVERY
from harness.deployment import Deployment, Node
from harness.errors import DeploymentError, HarnessError
from harness.interrupts import held_back
from harness.model import Budget, Observation, Outcome
from harness.probes import Probe
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.progress import say
from harness.recreation import Overlay
from harness.waiting import holds_for, wait_until

Step = Callable[[str], AbstractContextManager[object]]


class Expectation:
    """What is expected of one probe."""

    def __init__(self, deployment: Deployment, probe: Probe, step: Step) -> None:
        self._deployment = deployment
        self._probe = probe
        self._step = step

    def becomes(self, *outcomes: Outcome, within: Budget) -> Observation:
        """Wait for one of the outcomes; raises `WaitTimeoutError` with the last observation."""
        wanted = " or ".join(outcome.name for outcome in outcomes)
        with self._step(f"{self._probe} becomes {wanted}"):
            return wait_until(
                f"{self._probe} to be {wanted}",
                lambda: self._probe.observe(self._deployment),
                lambda seen: seen.outcome in outcomes,
                within=within,
            )

    def stays(self, outcome: Outcome, *, during: Budget) -> Observation:
        """Look again and again; raises `DeploymentError` with the first observation that differs."""
        with self._step(f"{self._probe} stays {outcome.name}"):
            held, seen, reads = holds_for(
                lambda: self._probe.observe(self._deployment), lambda seen: seen.outcome is outcome, during
            )
            if not held:
                message = f"{self._probe} was to stay {outcome.name}, but at look {reads}: {seen}"
                raise DeploymentError(message)
            return seen


class Experiment:
    """One scenario's hold on a deployment that it may break."""

    def __init__(self, deployment: Deployment, step: Step, mark_broken: Callable[[str], None]) -> None:
        self.deployment = deployment
        self._step = step
        self._mark_broken = mark_broken

    def expect(self, probe: Probe) -> Expectation:
        """Lay an expectation on a probe."""
        return Expectation(self.deployment, probe, self._step)

    def step(self, title: str) -> AbstractContextManager[object]:
        """Name what is done, for the report."""
        return self._step(title)

    @contextlib.contextmanager
    def disturbance(self, title: str) -> Iterator[ExitStack]:
        """Hand out a stack of undos; register each *before* the change that it undoes, and let it be exact.

        At the end they run in reverse, also after Ctrl-C, and health is proved again.
        """
        try:
            self.prove_health(f"before: {title}")
        except HarnessError as error:
            self._mark_broken(f"not healthy before {title}: {error}")
            raise
        undo = ExitStack()
        try:
            with self._step(title):
                yield undo
        finally:
            with held_back(say):
                self._restore(title, undo)

    def _restore(self, title: str, undo: ExitStack) -> None:
        try:
            with self._step(f"undo: {title}"):
                undo.close()
            self.prove_health(f"after: {title}")
        except Exception as error:
            self._mark_broken(f"{title} could not be undone: {error}")
            raise

    def prove_health(self, when: str) -> None:
        """Wait until all containers are well and both backends answer through the tunnel."""
        with self._step(f"health, {when}"):
            wait_until(
                f"the deployment to be healthy ({when})",
                lambda: _complaints(self.deployment),
                lambda complaints: not complaints,
                within=RECOVERY,
            )

    def redeploy(self, undo: ExitStack, overlay: Overlay, *services: str, alone: bool = False) -> None:
        """Create services anew with a compose overlay laid over the files (`recreation.redeploy`)."""
        with self._step(f"create {', '.join(services)} anew{' alone' if alone else ''}"):
            recreation.redeploy(self.deployment, undo, overlay, *services, alone=alone)

    def stop(self, undo: ExitStack, node: Node) -> None:
        """Stop a node's container; the undo starts it."""
        undo.callback(node.container.start)
        node.container.stop(timeout=5)


def _complaints(deployment: Deployment) -> str:
    unwell = deployment.unwell()
    if unwell:
        return json.dumps(unwell)
    observations = [probe.observe(deployment) for probe in (MariaDBQuery("web"), RedisPing("web"))]
    return "; ".join(str(seen) for seen in observations if seen.outcome is not Outcome.CONNECTED)
