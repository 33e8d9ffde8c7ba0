"""A gateway was given its own public key as its peer's."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import SecretFile
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPublicKey(Fault):
    """Services was given its own public key where web's belongs."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "a gateway is given its own public key as peer"
    seen = "services' gateway ends as soon as it starts, over and over, and web reaches nothing"
    roots = frozenset({"peer-key-is-own"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with that key: a running WireGuard would pass such a peer over in silence."""
        own = mutations.key_file(deployment, undo, "wireguard-services", deployment.credentials.keys.services.public)
        recreation.redeploy(deployment, undo, SecretFile("web_public_key", own), "wireguard-services")


CASES: tuple[Fault, ...] = (OwnPublicKey(),)
