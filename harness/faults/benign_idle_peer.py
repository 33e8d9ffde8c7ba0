"""Services' end knows a second peer, who never calls."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.addresses import TUNNEL_SERVICES
from harness.deployment import Deployment
from harness.faults import Fault
from harness.keys import KeyPair
from harness.wireguard import INTERFACE

_IDLE = 99  # in the tunnel's subnet; neither end has it


@dataclass(frozen=True, slots=True, kw_only=True)
class IdlePeer(Fault):
    """An administrator's notebook, or the next web server: with an address of its own, in nobody's way."""

    benign: ClassVar[bool] = True

    name = "an extra idle peer"
    seen = "nothing"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Add a peer to the running wg0."""
        gateway = deployment.wireguard_services
        peer = ("wg", "set", INTERFACE, "peer", KeyPair.generate().public)
        undo.callback(gateway.output, *peer, "remove")
        gateway.output(*peer, "allowed-ips", f"{TUNNEL_SERVICES.network[_IDLE]}/32")


CASES: tuple[Fault, ...] = (IdlePeer(),)
