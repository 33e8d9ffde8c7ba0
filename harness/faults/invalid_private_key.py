"""What is in a gateway's private key file is no key."""

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
class InvalidPrivateKey(Fault):
    """Of services' private key only the first `kept` characters are there, of 44."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    kept: int

    seen = "services' gateway ends as soon as it starts, over and over, and web reaches nothing"
    roots = frozenset({"private-key-invalid"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return "truncated private key" if self.kept else "empty private key file"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with that file."""
        kept = deployment.credentials.keys.services.private[: self.kept]
        file = mutations.key_file(deployment, undo, "wireguard-services", kept)
        recreation.redeploy(deployment, undo, SecretFile("services_private_key", file), "wireguard-services")


CASES: tuple[Fault, ...] = (InvalidPrivateKey(kept=40), InvalidPrivateKey(kept=0))
