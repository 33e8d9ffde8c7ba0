"""Services' gateway was created anew on another underlay address than web's endpoint names."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_ELSEWHERE = 98
"""An address of tunnel-net that no container has: fixed ones are below 10, Docker's own choice is above 127."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedGateway(Fault):
    """Services' gateway is well, and web looks for it where it was."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # two servers share no network whose addresses Docker gives

    name = "services' gateway recreated on a new underlay address"
    seen = "since services' gateway was created anew the tunnel does not shake hands, though it is healthy"
    roots = frozenset({"endpoint-wrong"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew there."""
        address = {"ipv4_address": str(deployment.plan.tunnel_net[_ELSEWHERE])}
        overlay = {"services": {"wireguard-services": {"networks": {"tunnel-net": address}}}}
        recreation.redeploy(deployment, undo, overlay, "wireguard-services")


CASES: tuple[Fault, ...] = (MovedGateway(),)
