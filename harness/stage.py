"""The deployment that a test session works on: brought up once, shared, and recreated after it was broken for good."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import layouts, lifecycle, preflight
from harness.addresses import AddressPlan
from harness.baseline import Baseline
from harness.deployment import Deployment
from harness.engine import Engine
from harness.engines import Engines
from harness.errors import BringUpError, HarnessError, NotPutInError, PrerequisiteError
from harness.faults import Fault
from harness.ownership import Run
from harness.redaction import Eraser
from harness.summary import BringUp
from harness.timeline import Timeline

Say = Callable[[str], None]


class Stage:
    """Holds one address plan for a session: the first that is free of those that it may have."""

    def __init__(  # noqa: PLR0913 (what a session says of its deployment)
        self,
        *,
        plans: Sequence[AddressPlan],
        keep: bool,
        reuse: bool,
        fault: Fault | None = None,
        engines: Engines | None = None,
        say: Say,
    ) -> None:
        self.plan = plans[0]
        """The plan of the deployment, or the first choice where none has been up yet."""
        self._plans = plans
        self.engines = engines or Engines(say=say)
        self.keep = keep
        self.reuse = reuse
        self.fault = fault
        """A fault that is in the deployment all the time: which scenarios notice it?"""
        self._announce = say
        self._exit = ExitStack()
        self._deployment: Deployment | None = None
        self._broken: str | None = None
        self.impossible: str | None = None
        """Why there is no deployment and will be none, in a line."""
        self.recreations: list[str] = []
        self._news: list[BringUp] = []
        self.ill: str | None = None
        """With a fault in it all the time: why no experiment can begin, once one has found out."""
        self.root_cause: str | None = None
        """What the doctor found when the test at hand failed; None until then."""
        self.lost: str | None = None
        """Why the engine on which the last deployment was is lost, until there is another deployment."""
        self.timeline: Timeline | None = None
        """What the last bring-up spent its time on; None once that has been reported, or where none was needed."""
        self.baseline: Baseline | None = None
        """What the deployment looked like when it had come up, before any test did anything to it."""
        self.secrets = {secret for plan in plans for secret in layouts.known_secrets(plan)}
        """Every secret of every deployment of this session: what no report may show."""

    def erased(self, text: str) -> str:
        """A text without the secrets that are known so far."""
        return Eraser(self.secrets)(text)

    def _say(self, line: str) -> None:
        self._announce(self.erased(line))

    def prepare(self) -> None:
        """Check prerequisites and make images; raises `PrerequisiteError` before anything was started."""
        for engine in self.engines.every():
            try:
                lifecycle.sweep(engine, say=self._say)
                if not (self.reuse and lifecycle.is_kept(engine, self.plan)):
                    preflight.require(engine, *self._plans)
                layouts.ensure_images(engine, self.plan, say=self._say)
                preflight.require_wireguard(engine, Run.start(self.plan.index))
            except PrerequisiteError as error:
                if not self.engines.names:
                    raise
                raise PrerequisiteError(*(f"{engine.machine.name}: {line}" for line in error.lines)) from error

    def deployment(self) -> Deployment:
        """The deployment, healthy; brought up at the first call, and anew after it was marked broken."""
        if self.impossible is not None:
            raise HarnessError(self.impossible)
        if self._broken is not None:
            self._say(f"recreating the deployment: {self._broken}")
            self.recreations.append(self._broken)
            self.close(graceful=False)
        if self._deployment is None:
            started = time.monotonic()
            self.secrets.update(layouts.every_secret())  # before those of a worker that was killed are swept
            try:
                self._deployment = self._bring_up(self.engines.current())
            except Exception as error:
                first, *_rest = str(error).splitlines() or [repr(error)]
                self.impossible = self.erased(f"no deployment could be brought up: {first}")
                if not isinstance(error, DockerException | RequestException):
                    raise
                message = f"the Docker engine refused a part of the deployment, or stopped answering: {error}"
                raise BringUpError(message) from error
            self.lost = None
            reason = self.recreations[-1] if self.recreations else None
            seconds = time.monotonic() - started
            self._news.append(BringUp(layout=self.plan.layout, seconds=seconds, reason=reason))
            self.secrets.update(self._deployment.credentials.secrets())
            self.baseline = Baseline.of(self._deployment)
            if self.fault is not None:
                self._break(self._deployment, self.fault)
        return self._deployment

    def _bring_up(self, engine: Engine) -> Deployment:
        """A deployment on the first plan that nobody else has; on the same one again where that is possible."""
        reuse = self.reuse and not self.recreations
        choices = [self.plan, *(plan for plan in self._plans if plan != self.plan)]
        for following, plan in enumerate(choices, start=1):
            timeline = Timeline()
            try:
                deployment = self._exit.enter_context(
                    lifecycle.deployed(engine, plan, keep=self.keep, reuse=reuse, say=self._say, timeline=timeline)
                )
            except PrerequisiteError as error:
                if following == len(choices):
                    raise
                self._say(f"address plan {plan.index} is passed over for {choices[following].index}: {error.lines[0]}")
            else:
                self.plan = plan
                self.timeline = timeline if timeline.phases else None
                return deployment
        raise AssertionError("the last plan is taken or refused")

    def _break(self, deployment: Deployment, fault: Fault) -> None:
        try:
            outcome = fault.apply(deployment, self._exit.enter_context(ExitStack()))
        except Exception as error:
            self.impossible = self.erased(f"the fault {fault.name!r} could not be put in: {error}")
            raise NotPutInError(self.impossible) from error
        if outcome is not None:
            self.impossible = f"with the fault {fault.name!r} no deployment comes up"
            raise HarnessError(self.impossible)

    def news(self) -> list[BringUp]:
        """The bring-ups since this was last asked."""
        news, self._news = self._news, []
        return news

    def lose_engine(self) -> str | None:
        """Why the deployment's engine is lost, when it is: the deployment is given up, and the next one is elsewhere.

        What is there of it is removed at the end, if the engine is back by then.
        """
        name, reason = self.engines.at_work, self.engines.loss()
        if name is None or reason is None:
            return None
        self.engines.leave(name, reason)  # first, so that nothing waits for its answer
        gone, self._deployment, self.impossible, self._broken = self._deployment, None, None, None
        with contextlib.suppress(Exception):
            self._exit.close()
        self._exit = ExitStack()
        if gone is not None:
            lifecycle.forget(gone.run)
        self.recreations.append(f"the engine of {name} was lost")
        self.lost = f"the Docker engine of {name} was lost during this test: {reason}"
        return self.lost

    @property
    def current(self) -> Deployment | None:
        """The deployment if one is up; asking brings none up."""
        return self._deployment

    def mark_broken(self, reason: str) -> None:
        """The deployment is not what it was: nobody else may work on it, unless it is broken on purpose."""
        if self.fault is None:
            self._broken = self.erased(reason)
        else:
            self.ill = self.erased(reason)

    def close(self, *, graceful: bool = True) -> None:
        """Take the deployment down, unless it is kept; one that is broken is never kept."""
        if self._deployment is not None and (self._broken is not None or not graceful):
            lifecycle.remove(self._deployment.engine, self._deployment.run, say=self._say, graceful=False)
        self._exit.close()
        self._exit = ExitStack()
        self._deployment = None
        self._broken = None
