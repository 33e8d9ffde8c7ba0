"""A rule before MariaDB's takes the packets that are for it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedForwardRule(Fault):
    """The first rule of PREROUTING sends MariaDB's port to Redis; the right one after it is never reached."""

    anywhere: ClassVar[bool] = True

    name = "another rule shadows the DNAT"
    seen = "MariaDB's rule is there and counts no packet, and MariaDB times out"
    roots = frozenset({"forward-rule-shadowed"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """FORWARD lets nothing pass to that destination for this port, or nobody listens there."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.REFUSED))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Insert the rule."""
        matched = f"-i {INTERFACE} -p tcp -m tcp --dport {deployment.plan.mariadb_port}"
        shadow = f"{matched} -j DNAT --to-destination {deployment.plan.redis}:{deployment.plan.mariadb_port}"
        mutations.insert_rule(undo, deployment.wireguard_services, "nat", "PREROUTING", shadow)


CASES: tuple[Fault, ...] = (ShadowedForwardRule(),)
