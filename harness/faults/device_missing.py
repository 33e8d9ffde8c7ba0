"""A gateway is not given /dev/net/tun."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.probes.served import NOT_SERVED, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMissing(Fault):
    """wireguard-go makes wg0 of a TUN device; without it the gateway ends, and is started again and again."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    gateway: str
    """The service's name."""

    roots = frozenset({"device-missing"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.gateway} without TUN"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.gateway} restarts over and over, and web reaches neither MariaDB nor Redis"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """There is no tunnel."""
        return Symptom(probe=Served(self.gateway), outcomes=NOT_SERVED)

    def unavailable(self, deployment: Deployment) -> str | None:
        """Only wireguard-go needs the device."""
        if deployment.wireguard_web.implementation() == "kernel":
            return "the kernel has WireGuard, which needs no /dev/net/tun"
        return None

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the gateway anew without `devices`."""
        overlay = f"services: {{{self.gateway}: {{devices: !reset []}}}}\n"
        disruptions.redeploy_to_fail(deployment, undo, overlay, self.gateway)


CASES: tuple[Fault, ...] = (DeviceMissing(gateway="wireguard-services"),)
