"""The path between the gateways carries less than wg0's MTU supposes, and does not say so."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.bulk import BulkRead

_LARGEST = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMtuBlackHole(Fault):
    """Packets larger than `mtu` bytes vanish in both directions, and the ICMP message that would tell is filtered."""

    mtu: int = 1280  # what IPv6 guarantees, and many a tunnel beneath the tunnel offers

    name = "path MTU black hole"
    seen = "small answers pass and large ones hang, as do logins by TLS from OpenSSL 3.5 on, which begin large"
    roots = frozenset({"path-mtu"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """A login succeeds, and a large answer to it never comes."""
        return Symptom(probe=BulkRead("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Lose WireGuard's large packets on arrival."""
        too_large = f"-m length --length {self.mtu + 1}:{_LARGEST}"
        disruptions.obstruct(deployment, undo, f"-p udp -m udp --dport {deployment.plan.wireguard_port} {too_large}")


CASES: tuple[Fault, ...] = (PathMtuBlackHole(),)
