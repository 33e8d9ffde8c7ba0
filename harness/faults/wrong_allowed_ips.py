"""A peer's allowed IPs are some other network's, so its tunnel address is not among them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAllowedIps(Fault):
    """`end` allows its peer the network that lies behind it or between them, and not the tunnel's address."""

    anywhere: ClassVar[bool] = True

    end: str

    seen = "the tunnel shakes hands and no connection through it is ever made"
    roots = frozenset({"allowed-ips-missing"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return f"allowed IPs lack the peer, on {self.end}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """On web nothing is sent, which the kernel's WireGuard says aloud; on services nothing is let in."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change the peer's allowed IPs alone; the session goes on, and so does it after the undo."""
        gateway, wrong = {
            "web": (deployment.wireguard_web, deployment.plan.services_net),
            "services": (deployment.wireguard_services, deployment.plan.tunnel_net),
        }[self.end]
        peer = gateway.peer()
        change = ("wg", "set", INTERFACE, "peer", peer.public_key, "allowed-ips")
        undo.callback(gateway.act, *change, ",".join(map(str, peer.allowed_ips)))
        gateway.act(*change, str(wrong))


CASES: tuple[Fault, ...] = (WrongAllowedIps(end="web"), WrongAllowedIps(end="services"))
