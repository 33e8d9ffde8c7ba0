"""Somebody deleted the rule that sends MariaDB's port on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedForwardRule(Fault):
    """MariaDB's DNAT rule, which was declared and made, is gone."""

    anywhere: ClassVar[bool] = True

    name = "MariaDB's DNAT rule is deleted"
    seen = "web reaches Redis, and MariaDB is refused, though its port is declared"
    roots = frozenset({"forward-rule-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The gateway refuses what is for itself."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Delete that one rule."""
        gateway = deployment.wireguard_services
        mutations.delete_rule(undo, gateway, gateway.dnat(deployment.plan.mariadb_port))


CASES: tuple[Fault, ...] = (DeletedForwardRule(),)
