"""An application's memory limit is less than it needs to start."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Budget
from harness.probes.served import NOT_SERVED, Served
from harness.waiting import wait_until

_TOO_LITTLE = "24m"  # Docker starts a container with half of it; Python with Django needs twice as much
_OFTEN = 3
_KILLED = Budget(seconds=30, reason="each start ends within a second, and the pauses between them double from 0.1 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory(Fault):
    """The kernel kills it while it starts, Docker starts it again, and so on."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    service: str = "services"

    roots = frozenset({"out-of-memory"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.service} runs out of memory"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.service} restarts over and over, and its log does not say why"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """It never comes as far as to listen."""
        return Symptom(probe=Served(self.service), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the application anew with too little memory, and no swap to make up for it.

        Docker says that it was killed only until it starts it again, which it does ever more slowly: after the third
        time that is what one mostly sees.
        """
        limits = {"mem_limit": _TOO_LITTLE, "memswap_limit": _TOO_LITTLE}
        disruptions.redeploy_to_fail(deployment, undo, {"services": {self.service: limits}}, self.service)
        node = deployment.node(self.service)
        wait_until(f"{node.name} to be killed", node.inspect, _is_killed_often, within=_KILLED)


def _is_killed_often(attributes: Mapping[str, Any]) -> bool:
    return bool(attributes["State"]["OOMKilled"]) and int(attributes["RestartCount"]) >= _OFTEN


CASES: tuple[Fault, ...] = (OutOfMemory(),)
