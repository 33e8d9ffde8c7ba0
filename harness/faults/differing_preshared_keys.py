"""The two ends do not have the same preshared key."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.keys import generate_preshared
from harness.model import Outcome
from harness.overlays import Overlay, SecretFile, Variables
from harness.probes.mariadb import MariaDBQuery

_WITHOUT = Variables({"wireguard-services": {"WG_PRESHARED_KEY_FILE": None}})


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingPresharedKeys(Fault):
    """Services has another preshared key than web, or none at all."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    one_sided: bool

    seen = "the tunnel never shakes hands, though all public keys are right"
    roots = frozenset({"preshared-key-mismatch"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return "preshared key on one side only" if self.one_sided else "preshared keys differ"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew, and web's not, whose file it is too: with one of its own, or none."""
        overlay: Overlay = _WITHOUT
        if not self.one_sided:
            file = mutations.key_file(deployment, undo, "wireguard-services", generate_preshared())
            overlay = SecretFile("preshared_key", file)
        recreation.redeploy(deployment, undo, overlay, "wireguard-services")


CASES: tuple[Fault, ...] = (DifferingPresharedKeys(one_sided=True), DifferingPresharedKeys(one_sided=False))
