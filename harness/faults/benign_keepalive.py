"""Web's end sends its keepalive at another interval."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.deployment import Deployment
from harness.faults import Fault
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherKeepalive(Fault):
    """15 s instead of 25: a matter of taste, and of the router in between."""

    anywhere: ClassVar[bool] = True

    benign: ClassVar[bool] = True

    seconds: int = 15

    name = "another keepalive"
    seen = "nothing"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change the interval of the running wg0."""
        gateway = deployment.wireguard_web
        peer = gateway.peer()
        keepalive = ("wg", "set", INTERFACE, "peer", peer.public_key, "persistent-keepalive")
        undo.callback(gateway.act, *keepalive, str(peer.persistent_keepalive))
        gateway.act(*keepalive, str(self.seconds))


CASES: tuple[Fault, ...] = (AnotherKeepalive(),)
