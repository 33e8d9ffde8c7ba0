"""Web is told the name of a backend where only an address helps."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import Variables
from harness.probes.health import HealthVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class NameInsteadOfAddress(Fault):
    """In its gateway's namespace web is on tunnel-net, where services-net's names are not known."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "mariadb instead of 10.100.0.11 at web"
    seen = "web says that the name of its database cannot be resolved, while Redis is well"
    roots = frozenset({"name-unresolvable"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Web's own words, or none in time where a name server upstream is silent."""
        probe = HealthVerdict("web", "database")
        return Symptom(probe=probe, outcomes=(Outcome.UNRESOLVED, Outcome.TIMED_OUT))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web anew with the name that services could use."""
        overlay = Variables({"web": {"DATABASE_HOST": "mariadb"}})
        recreation.redeploy(deployment, undo, overlay, "web")


CASES: tuple[Fault, ...] = (NameInsteadOfAddress(),)
