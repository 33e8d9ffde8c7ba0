"""Breaking a deployment and mending it: baseline, disturb, observe, restore, prove.

Health is proved before and after, here and nowhere else. What cannot be restored marks the deployment broken, and it
is recreated before anything else runs on it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from harness import recreation
from harness.budgets import RECOVERY, SYMPTOM
from harness.chronicle import Chronicle, Moment
from harness.deployment import Deployment
from harness.diagnosis.comparison import differences, portrait
from harness.diagnosis.evidence import Snapshot
from harness.diagnosis.judgement import Diagnosis, judge
from harness.diagnosis.prescription import prescription
from harness.errors import DeploymentError, HarnessError
from harness.examination import examined, steady
from harness.faults import Fault
from harness.interrupts import held_back
from harness.model import Budget, Injection, Observation, Outcome
from harness.nodes import Node
from harness.overlays import Overlay
from harness.probes import Probe
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.progress import say
from harness.redaction import Sealer
from harness.snapshot import collect
from harness.trials import Trial
from harness.waiting import holds_for, wait_until


@dataclass(slots=True, kw_only=True)
class _Running:
    """Faults that are in, and what is known of them so far."""

    faults: tuple[Fault, ...]
    deployment: Deployment
    began: float = 0.0
    before: Snapshot | None = None
    during: Snapshot | None = None
    diagnosis: Diagnosis | None = None
    symptom: float | None = None
    looked: float | None = None
    recovery: float | None = None

    @property
    def title(self) -> str:
        return " and ".join(fault.name for fault in self.faults) or "nothing"

    def note(self, snapshot: Snapshot, diagnosis: Diagnosis, took: float) -> None:
        self.during, self.diagnosis, self.looked = snapshot, diagnosis, took

    def trial(self) -> Trial:
        return Trial(
            fault=self.title,
            benign=all(fault.benign for fault in self.faults),
            expected=frozenset().union(*(fault.roots for fault in self.faults)),
            tolerated=frozenset().union(*(fault.tolerated for fault in self.faults)),
            found=self.diagnosis.roots if self.diagnosis else None,
            errors=self.diagnosis.errors if self.diagnosis else frozenset(),
            status=self.diagnosis.status if self.diagnosis else "unknown",
            symptom=self.symptom,
            diagnosis=self.looked,
            recovery=self.recovery,
        )


Step = Callable[[str], AbstractContextManager[object]]


class Expectation:
    """What is expected of one probe."""

    def __init__(self, deployment: Deployment, probe: Probe, step: Step, chronicle: Chronicle) -> None:
        self._deployment = deployment
        self._probe = probe
        self._step = step
        self._chronicle = chronicle

    def becomes(self, *outcomes: Outcome, within: Budget) -> Observation:
        """Wait for one of the outcomes; raises `WaitTimeoutError` with the last observation."""
        wanted = " or ".join(outcome.name for outcome in outcomes)
        with self._step(f"{self._probe} becomes {wanted}"):
            seen = wait_until(
                f"{self._probe} to be {wanted}", self._observe, lambda seen: seen.outcome in outcomes, within=within
            )
        if seen.outcome is not Outcome.CONNECTED and self._chronicle.waits_for_symptom:
            self._chronicle.mark(Moment.SYMPTOM, f"{seen.probe} from {seen.source}: {seen.outcome.value}")
        return seen

    def stays(self, outcome: Outcome, *, during: Budget) -> Observation:
        """Look again and again; raises `DeploymentError` with the first observation that differs."""
        with self._step(f"{self._probe} stays {outcome.name}"):
            held, seen, reads = holds_for(self._observe, lambda seen: seen.outcome is outcome, during)
            if not held:
                message = f"{self._probe} was to stay {outcome.name}, but at look {reads}: {seen}"
                raise DeploymentError(message)
            return seen

    def _observe(self) -> Observation:
        return self._chronicle.saw(self._probe.observe(self._deployment))


class Experiment:
    """One scenario's hold on a deployment that it may break."""

    def __init__(  # noqa: PLR0913 (what the session does with what happens here)
        self,
        deployment: Deployment,
        step: Step,
        mark_broken: Callable[[str], None],
        *,
        attach: Callable[[str, str], None] = lambda _name, _text: None,
        on_trial: Callable[[Trial], None] = lambda _trial: None,
        on_failure: Callable[[], None] = lambda: None,
        patience: Budget = RECOVERY,
    ) -> None:
        self.deployment = deployment
        self.chronicle = Chronicle()
        """What happened, and when: all that this scenario does to the deployment."""
        self.evidence: tuple[Snapshot, Diagnosis] | None = None
        """The last look while something was put in, and what it shows; None where nobody looked."""
        self._step = step
        self._mark_broken = mark_broken
        self._attach = attach
        self._on_trial = on_trial
        self._on_failure = on_failure
        self._patience = patience
        self._seal = Sealer()  # one for all snapshots, so that they can be compared
        self._running: _Running | None = None
        self._recovery: float | None = None

    def expect(self, probe: Probe) -> Expectation:
        """Lay an expectation on a probe."""
        return Expectation(self.deployment, probe, self._step, self.chronicle)

    def step(self, title: str) -> AbstractContextManager[object]:
        """Name what is done, for the report."""
        return self._step(title)

    @contextlib.contextmanager
    def inject(self, *faults: Fault) -> Iterator[Injection]:
        """Put one fault in, or several one after the other, while the block runs.

        Health is proved before and after. The fault has to be seen to have taken: what is seen while it is there has
        to differ from what was seen before. Afterwards everything has to be as it was, or the deployment is marked
        broken and `DeploymentError` says what differs.
        """
        running = _Running(faults=faults, deployment=self.deployment)
        title = running.title
        try:
            with self._disturbance(title) as undo:
                running.before = self._look_to_compare()
                self._running = running
                running.began = time.monotonic()
                self.chronicle.mark(Moment.INJECTION, title)
                for fault in faults:
                    with self._step(f"put in: {fault.name}"):
                        running.deployment = fault.apply(self.deployment, undo) or running.deployment
                yield Injection(fault=title, started_at=running.began)
                self._prove_taken(running)
            running.recovery = self._recovery
            self._prove_restored(running)
        finally:
            self._running = None
            self._on_trial(running.trial())

    def show_symptom(self, *, within: Budget = SYMPTOM) -> Observation | None:
        """Wait for the symptom of the fault that is in, of several the first; None where no client notices any."""
        running = self._current()
        symptom = running.faults[0].symptom(self.deployment)
        if symptom is None:
            return None
        seen = self.expect(symptom.probe).becomes(*symptom.outcomes, within=within)
        running.symptom = time.monotonic() - running.began
        return seen

    def diagnose(self) -> Diagnosis:
        """Have the doctor look, who is told nothing, and attach what it says."""
        deployment = self._running.deployment if self._running else self.deployment
        with self._step("the doctor looks"):
            began = time.monotonic()
            found = examined(lambda: self._look(deployment))
            took = time.monotonic() - began
            self._attach("diagnosis", prescription(found.diagnosis))
            if found.passed and found.first:
                self._attach_passed(found.passed, found.first)
        snapshot, diagnosis = self.evidence = found.snapshot, found.diagnosis
        self.chronicle.mark(Moment.DIAGNOSIS, ", ".join(sorted(diagnosis.roots)) or diagnosis.status)
        if self._running:
            self._running.note(snapshot, diagnosis, took)
        return diagnosis

    def check_up(self) -> Diagnosis:
        """Have the doctor look at a deployment to which nothing was done; what it finds then is a false alarm."""
        running = _Running(faults=(), deployment=self.deployment)
        self._running = running
        try:
            return self.diagnose()
        finally:
            self._running = None
            self._on_trial(running.trial())

    def _current(self) -> _Running:
        if self._running is None:
            raise DeploymentError("no fault is in: this belongs into a `with experiment.inject(...)` block")
        return self._running

    def _look(self, deployment: Deployment, *, brief: bool = False) -> Snapshot:
        return collect(deployment, seal=self._seal, brief=brief)

    def _look_to_compare(self) -> Snapshot:
        return steady(
            lambda: self._look(self.deployment, brief=True),
            within=self._patience,
            on_again=self._attach_passed,
        )

    def _attach_passed(self, lines: Iterable[str], seen: Snapshot) -> None:
        """Keep what may never be seen again: whoever asks why finds counters and neighbours of that moment."""
        self._attach("what failed at one look, so that another was taken", "\n".join(lines))
        self._attach("all that was seen in it, as JSON", seen.to_json())

    def _prove_taken(self, running: _Running) -> None:
        if running.before is None or running.deployment is not self.deployment:
            return  # what stands beside this deployment was not there before
        if (during := running.during) is None:
            during = self._look(self.deployment)
            self.evidence = during, judge(during)
        before = portrait(running.before, lasting=False)
        if not differences(before, portrait(during, lasting=False)):
            message = f"{running.title} was put in, and nothing that can be seen has changed"
            raise DeploymentError(message)

    def _prove_restored(self, running: _Running) -> None:
        if running.before is None:
            return
        with self._step("everything is as it was"):
            left = differences(portrait(running.before), portrait(self._look_to_compare()))
            if left:
                self._attach("what is not as it was", "\n".join(left))
                message = f"{running.title} was undone, and not everything is as it was:\n" + "\n".join(left)
                self._mark_broken(message)
                raise DeploymentError(message)

    @contextlib.contextmanager
    def disturbance(self, title: str) -> Iterator[ExitStack]:
        """Hand out a stack of undos; register each *before* the change that it undoes, and let it be exact.

        At the end they run in reverse, also after Ctrl-C, and health is proved again.
        """
        with self._disturbance(title) as undo:
            self.chronicle.mark(Moment.INJECTION, title)
            yield undo

    @contextlib.contextmanager
    def _disturbance(self, title: str) -> Iterator[ExitStack]:
        try:
            self.prove_health(f"before: {title}")
        except HarnessError as error:
            self._mark_broken(f"not healthy before {title}: {error}")
            raise
        undo = ExitStack()
        try:
            with self._step(title):
                yield undo
        except BaseException as error:  # pytest's own failures, such as a test that took too long, are no `Exception`
            if not isinstance(error, KeyboardInterrupt | SystemExit):
                self.chronicle.mark(Moment.FAILURE)
                self._on_failure()  # while what failed is still there to be seen
            raise
        finally:
            with held_back(say):
                self._restore(title, undo)

    def _restore(self, title: str, undo: ExitStack) -> None:
        began = time.monotonic()
        self._recovery = None
        self.chronicle.mark(Moment.RESTORE, title)
        try:
            with self._step(f"undo: {title}"):
                undo.close()
            self.prove_health(f"after: {title}")
            self._recovery = time.monotonic() - began
            self.chronicle.mark(Moment.RECOVERY)
        except BaseException as error:
            self._mark_broken(f"{title} could not be undone: {error}")
            raise

    def prove_health(self, when: str) -> None:
        """Wait until all containers are well and both backends answer through the tunnel."""
        with self._step(f"health, {when}"):
            wait_until(
                f"the deployment to be healthy ({when})",
                lambda: _complaints(self.deployment, self.chronicle.saw),
                lambda complaints: not complaints,
                within=self._patience,
            )

    def redeploy(self, undo: ExitStack, overlay: Overlay, *services: str, alone: bool = False) -> None:
        """Create services anew with a compose overlay laid over the files (`recreation.redeploy`)."""
        with self._step(f"create {', '.join(services)} anew{' alone' if alone else ''}"):
            recreation.redeploy(self.deployment, undo, overlay, *services, alone=alone)

    def stop(self, undo: ExitStack, node: Node) -> None:
        """Stop a node's container; the undo starts it."""
        undo.callback(node.container.start)
        node.container.stop(timeout=5)


def _complaints(deployment: Deployment, saw: Callable[[Observation], Observation]) -> str:
    unwell = deployment.unwell()
    if unwell:
        return json.dumps(unwell)
    observations = [saw(probe.observe(deployment)) for probe in (MariaDBQuery("web"), RedisPing("web"))]
    return "; ".join(str(seen) for seen in observations if seen.outcome is not Outcome.CONNECTED)
