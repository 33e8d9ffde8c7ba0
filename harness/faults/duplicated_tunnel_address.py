"""Both ends were told to have the same address inside the tunnel."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import Variables
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatedTunnelAddress(Fault):
    """Services was given web's address: its file was copied from web's."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "both ends have the same tunnel address"
    seen = "the tunnel shakes hands and no connection through it is ever made"
    roots = frozenset({"address-duplicated"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Services drops what comes from an address that is its own."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with web's address."""
        environment = {"WG_ADDRESS": str(deployment.plan.tunnel_web)}
        overlay = Variables({"wireguard-services": environment})
        recreation.redeploy(deployment, undo, overlay, "wireguard-services")


CASES: tuple[Fault, ...] = (DuplicatedTunnelAddress(),)
