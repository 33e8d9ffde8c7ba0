"""MariaDB's port is forwarded to where MariaDB is not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongForwardDestination(Fault):
    """All three rules of MariaDB's forward name Redis's address."""

    name = "forward to a wrong destination"
    seen = "web reaches Redis, and MariaDB is refused, though services reaches it"
    roots = frozenset({"forward-rule-wrong-destination"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Redis's machine has no such port."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Rewrite the rules where they stand, as the gateway would have made them of a wrong entry."""
        gateway, plan = deployment.wireguard_services, deployment.plan
        for rule in mutations.rules_naming(gateway, deployment.plan.mariadb_port):
            wrong = rule.specification.replace(f"-d {plan.mariadb}/32 ", f"-d {plan.redis}/32 ")
            wrong = wrong.replace(f"--to-destination {plan.mariadb}:", f"--to-destination {plan.redis}:")
            mutations.replace_rule(undo, gateway, rule, wrong)


CASES: tuple[Fault, ...] = (WrongForwardDestination(),)
