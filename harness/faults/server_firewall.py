"""The services server's own firewall does not know of WireGuard."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFirewall(Fault):
    """What comes to WireGuard's port is lost on the machine, where no container sees anything of it."""

    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # on one engine the gateways are on one network

    name = "the services server's firewall drops WireGuard"
    seen = "both gateways are well, no handshake comes about any more, and whatever web asks for times out"
    roots = frozenset({"peer-unreachable"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Silence."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Drop it before Docker's own rules pass it on; the undo has the gateways shake hands at once."""
        undo.callback(disruptions.shake_hands_anew, deployment)
        rule = ("raw", "PREROUTING", f"-p udp -m udp --dport {deployment.plan.wireguard_port} -j DROP")
        disruptions.drop_on_machine(deployment, undo, "wireguard-services", *rule)


CASES: tuple[Fault, ...] = (ServerFirewall(),)
