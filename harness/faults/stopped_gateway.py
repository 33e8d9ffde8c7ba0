"""Services' gateway was stopped."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_GRACE = 5  # seconds, the compose file's stop_grace_period


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedGateway(Fault):
    """The peer of web's gateway does not run."""

    anywhere: ClassVar[bool] = True

    name = "peer gateway stopped"
    seen = "services and its backends are well, and whatever web asks for times out"
    roots = frozenset({"container-down"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Stop it; nobody else lives in its namespace."""
        undo.callback(mutations.start_responder, deployment)
        deployment.wireguard_services.container.stop(timeout=_GRACE)


CASES: tuple[Fault, ...] = (StoppedGateway(),)
