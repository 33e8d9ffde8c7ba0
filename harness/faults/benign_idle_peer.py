"""Services' end knows a second peer, who never calls."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from harness.addresses import AddressPlan
from harness.deployment import Deployment
from harness.faults import Fault
from harness.keys import KeyPair
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class IdlePeer(Fault):
    """An administrator's notebook, or the next web server: with an address of its own, in nobody's way."""

    anywhere: ClassVar[bool] = True

    benign: ClassVar[bool] = True

    name = "an extra idle peer"
    seen = "nothing"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Add a peer to the running wg0."""
        gateway = deployment.wireguard_services
        peer = ("wg", "set", INTERFACE, "peer", KeyPair.generate().public)
        undo.callback(gateway.act, *peer, "remove")
        gateway.act(*peer, "allowed-ips", f"{_free_address(deployment.plan)}/32")


def _free_address(plan: AddressPlan) -> IPv4Address:
    """The last of the tunnel that neither end has; one beside a tunnel that has no room."""
    last = (plan.tunnel.broadcast_address - number for number in range(1, plan.tunnel.num_addresses - 1))
    ends = plan.tunnel_web.ip, plan.tunnel_services.ip
    return next((each for each in last if each not in ends), plan.tunnel.broadcast_address + 1)


CASES: tuple[Fault, ...] = (IdlePeer(),)
