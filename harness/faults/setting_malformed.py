"""A setting holds what cannot be read as what it is to be."""

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
class SettingMalformed(Fault):
    """A value that was mistyped; who reads it refuses to start with it."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    service: str
    setting: str
    value: str

    roots = frozenset({"setting-malformed"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.service} is told {self.setting}={self.value}"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.service} restarts over and over, and its log says that {self.setting} is {self.value}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """It never comes as far as to serve anybody."""
        return Symptom(probe=Served(self.service), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the container anew with the value."""
        overlay = Variables({self.service: {self.setting: self.value}})
        disruptions.redeploy_to_fail(deployment, undo, overlay, self.service)


CASES: tuple[Fault, ...] = (SettingMalformed(service="web", setting="DATABASE_PORT", value="33O6"),)
