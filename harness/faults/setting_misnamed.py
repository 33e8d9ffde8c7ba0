"""A setting has a name that nobody reads: an old one, or a misspelt one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.overlays import Variables
from harness.probes.served import NOT_SERVED, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingMisnamed(Fault):
    """The right value under the wrong name; who is to read it refuses to start without it."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    service: str
    wrong: str
    right: str

    roots = frozenset({"setting-misnamed"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.wrong} instead of {self.right}"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.service} restarts over and over, and its log names {self.wrong} or {self.right}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """It never comes as far as to serve anybody."""
        return Symptom(probe=Served(self.service), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the container anew with the setting renamed."""
        value = deployment.node(self.service).environment()[self.right]
        overlay = Variables({self.service: {self.right: None, self.wrong: value}})
        disruptions.redeploy_to_fail(deployment, undo, overlay, self.service)


CASES: tuple[Fault, ...] = (
    SettingMisnamed(service="web", wrong="DB_HOST", right="DATABASE_HOST"),
    SettingMisnamed(service="services", wrong="DATABASE_HOTS", right="DATABASE_HOST"),
    SettingMisnamed(service="wireguard-services", wrong="WG_FORWARD_PORT", right="WG_FORWARD_PORTS"),
)
