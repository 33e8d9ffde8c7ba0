"""The services server does not publish WireGuard's port: the one thing that joins the two servers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_WITHOUT = "services: {wireguard-services: {ports: !reset []}}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortUnpublished(Fault):
    """Services' gateway listens, and nothing leads from its server to it."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # on one engine the gateways are on one network

    name = "the services server's UDP port is unpublished"
    seen = "both gateways run, no handshake comes about, and whatever web asks for times out"
    roots = frozenset({"port-unpublished"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew without its port; the probe's is gone too, which web's side does not need."""
        recreation.redeploy(deployment, undo, _WITHOUT, "wireguard-services")


CASES: tuple[Fault, ...] = (PortUnpublished(),)
