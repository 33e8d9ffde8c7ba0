"""Nothing passes between the gateways: the network is cut, or a firewall does not know of WireGuard."""

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
class UnderlayBlocked(Fault):
    """All that the gateways send each other is lost, or only what is for WireGuard's port."""

    anywhere: ClassVar[bool] = True

    only_wireguard: bool

    roots = frozenset({"peer-unreachable"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return "UDP port blocked" if self.only_wireguard else "underlay cut"

    @property
    def seen(self) -> str:
        """What a user sees."""
        still = ", though the gateways can ping each other" if self.only_wireguard else ""
        return f"web reaches no backend, and no handshake comes about any more{still}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Silence."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Lose it on arrival at either end."""
        match = f"-p udp -m udp --dport {deployment.plan.wireguard_port}" if self.only_wireguard else ""
        disruptions.obstruct(deployment, undo, match)


CASES: tuple[Fault, ...] = (UnderlayBlocked(only_wireguard=False), UnderlayBlocked(only_wireguard=True))
