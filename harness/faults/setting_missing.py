"""A setting is missing without which an application does not start."""

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
class SettingMissing(Fault):
    """A line that was lost from the environment of a service."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    service: str
    setting: str

    roots = frozenset({"setting-missing"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.service} is not told {self.setting}"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.service} restarts over and over, and its log says that {self.setting} is not set"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """It never comes as far as to serve anybody."""
        return Symptom(probe=Served(self.service), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the container anew without the setting."""
        overlay = Variables({self.service: {self.setting: None}})
        disruptions.redeploy_to_fail(deployment, undo, overlay, self.service)


CASES: tuple[Fault, ...] = (SettingMissing(service="web", setting="DATABASE_NAME"),)
