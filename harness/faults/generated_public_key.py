"""The public key was made by a second `wg genkey`, and derives from no private key that anybody has."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import keys, mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import SecretFile
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPublicKey(Fault):
    """What services was given as web's public key was generated, not derived."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "public key made by a second wg genkey"
    seen = "the tunnel never shakes hands and receives 0 B, though each file holds a key"
    roots = frozenset({"peer-key-mismatch"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with that key."""
        file = mutations.key_file(deployment, undo, "wireguard-services", keys.generate_private())
        recreation.redeploy(deployment, undo, SecretFile("web_public_key", file), "wireguard-services")


CASES: tuple[Fault, ...] = (GeneratedPublicKey(),)
