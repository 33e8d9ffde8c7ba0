"""A rule before MariaDB's takes the packets that are for it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import mutations
from harness.addresses import MARIADB_PORT
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedForwardRule(Fault):
    """The first rule of PREROUTING sends MariaDB's port to Redis; the right one after it is never reached."""

    name = "another rule shadows the DNAT"
    seen = "MariaDB's rule is there and counts no packet, and MariaDB times out"
    roots = frozenset({"forward-rule-shadowed"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """FORWARD lets nothing pass to that destination for this port."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Insert the rule."""
        matched = f"-i {INTERFACE} -p tcp -m tcp --dport {MARIADB_PORT}"
        shadow = f"{matched} -j DNAT --to-destination {deployment.plan.redis}:{MARIADB_PORT}"
        mutations.insert_rule(undo, deployment.wireguard_services, "nat", "PREROUTING", shadow)


CASES: tuple[Fault, ...] = (ShadowedForwardRule(),)
