"""The path between the gateways loses packets at random."""

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
class PacketLoss(Fault):
    """So much is lost, each way, that connections time out."""

    percent: int

    seen = "web's pages take seconds, and every now and then one says that a backend has timed out"
    roots = frozenset({"packet-loss"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.percent} % loss on the underlay"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Sooner or later a connection is not made in time."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Lose some of WireGuard's packets on arrival."""
        _lose(deployment, undo, self.percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class TolerableLoss(Fault):
    """What TCP makes up for: some packets come a little later."""

    benign: ClassVar[bool] = True

    percent: int

    seen = "now and then a page of web takes a little longer"
    roots = frozenset()
    tolerated = frozenset({"packet-loss"})

    @property
    def name(self) -> str:
        """The change's name."""
        return f"{self.percent} % loss"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Lose a few of WireGuard's packets on arrival."""
        _lose(deployment, undo, self.percent)


def _lose(deployment: Deployment, undo: ExitStack, percent: int) -> None:
    at_random = f"-m statistic --mode random --probability {percent / 100}"
    disruptions.obstruct(deployment, undo, f"-p udp -m udp --dport {deployment.plan.wireguard_port} {at_random}")


CASES: tuple[Fault, ...] = (PacketLoss(percent=40), TolerableLoss(percent=5))
