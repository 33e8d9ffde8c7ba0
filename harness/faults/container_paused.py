"""A container is frozen: it is there, and does nothing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.addresses import MARIADB_PORT, REDIS_PORT
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.served import Served

_GATEWAYS = ("wireguard-web", "wireguard-services")
_SEEN = {
    "redis": f"whoever asks Redis for something waits in vain, though port {REDIS_PORT} is open",
    "wireguard-services": f"web waits in vain for ports {MARIADB_PORT} and {REDIS_PORT} of 10.100.0.11",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPaused(Fault):
    """`docker pause`: its connections stay, its port still accepts, and nobody answers."""

    anywhere: ClassVar[bool] = True

    service: str
    title: str
    """Whom a user knows it as."""

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.title} is paused"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return _SEEN[self.service]

    @property
    def roots(self) -> frozenset[str]:
        """The rule that names it."""
        return frozenset({disruptions.down_rule(self.service)})

    def symptom(self, deployment: Deployment) -> Symptom | None:
        """Silence; but what the kernel does for a gateway goes on, and then no client notices."""
        if self.service in _GATEWAYS and deployment.wireguard_web.implementation() == "kernel":
            return None
        return Symptom(probe=Served(self.service), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Freeze the container; where it is a gateway the undo also ends the handshakes that it has missed."""
        if self.service in _GATEWAYS:
            undo.callback(disruptions.shake_hands_anew, deployment)
        disruptions.pause(undo, deployment.node(self.service))


CASES: tuple[Fault, ...] = (
    ContainerPaused(service="redis", title="Redis"),
    ContainerPaused(service="wireguard-services", title="services' gateway"),
)
