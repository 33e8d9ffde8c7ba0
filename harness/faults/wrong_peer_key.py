"""A gateway was given a public key that is a stranger's."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import keys, mutations
from harness.deployment import Deployment
from harness.disruptions import shake_hands_anew
from harness.faults import Fault, Symptom
from harness.keys import KeyPair
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_OTHER_END = {"web": "services", "services": "web"}
_FILES = {"web": keys.SERVICES_PUBLIC, "services": keys.WEB_PUBLIC}
"""The file from which each end has its peer's key. Nobody else is given it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongPeerKey(Fault):
    """`end` has, in its file and in use, a sound public key that is not the other end's."""

    end: str

    seen = "the tunnel never shakes hands and receives 0 B; whatever web asks for times out"
    roots = frozenset({"peer-key-mismatch"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return f"{self.end} holds a wrong {_OTHER_END[self.end]} key"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def unavailable(self, deployment: Deployment) -> str | None:
        """The key file is changed where it is."""
        return mutations.unwritable(deployment, _FILES[self.end])

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change the file and the running peer alike: were they to differ, that would be another fault."""
        gateway = {"web": deployment.wireguard_web, "services": deployment.wireguard_services}[self.end]
        stranger = KeyPair.generate().public
        mutations.keep_tunnel(deployment, undo)
        mutations.rewrite(deployment, undo, _FILES[self.end], stranger)
        mutations.add_peer_again(gateway, gateway.peer().public_key, stranger)
        # As after a start with that key: no end remembers a handshake.
        shake_hands_anew(deployment)


CASES: tuple[Fault, ...] = (WrongPeerKey(end="web"), WrongPeerKey(end="services"))
