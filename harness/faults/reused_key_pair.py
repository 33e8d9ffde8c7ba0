"""Both ends use one key pair: web's private key was copied to services too."""

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
class ReusedKeyPair(Fault):
    """Services' private key is web's."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "both ends use one key pair"
    seen = "services' gateway takes web's key for its own and ends as soon as it starts; web reaches nothing"
    roots = frozenset({"key-reused"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with web's private key."""
        file = mutations.key_file(deployment, undo, "wireguard-services", deployment.credentials.keys.web.private)
        recreation.redeploy(deployment, undo, SecretFile("services_private_key", file), "wireguard-services")


CASES: tuple[Fault, ...] = (ReusedKeyPair(),)
