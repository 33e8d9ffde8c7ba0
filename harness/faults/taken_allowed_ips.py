"""A further peer is given the address of the one that is there, which loses it at that moment."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import keys
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAllowedIps(Fault):
    """Somebody adds a peer to `end` with the address of the one that is there, which takes it away without a word."""

    anywhere: ClassVar[bool] = True

    end: str

    seen = "the tunnel shakes hands, `wg set` said nothing, and no connection is made any more"
    roots = frozenset({"allowed-ips-taken"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return f"a further peer takes the address, on {self.end}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """On web the new peer has no endpoint, as the kernel's WireGuard says; on services nothing is let in."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Add the peer; the undo removes it and gives the address back. The session goes on meanwhile."""
        gateway = {"web": deployment.wireguard_web, "services": deployment.wireguard_services}[self.end]
        peer = gateway.peer()
        allowed = ",".join(map(str, peer.allowed_ips))
        change = ("wg", "set", INTERFACE, "peer")
        further = keys.KeyPair.generate().public
        undo.callback(gateway.act, *change, peer.public_key, "allowed-ips", allowed)
        undo.callback(gateway.act, *change, further, "remove")
        gateway.act(*change, further, "allowed-ips", allowed)


CASES: tuple[Fault, ...] = (TakenAllowedIps(end="web"), TakenAllowedIps(end="services"))
