"""MariaDB's port is forwarded for UDP, which nobody speaks to it."""

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
class WrongForwardProtocol(Fault):
    """All three rules of MariaDB's forward say udp."""

    anywhere: ClassVar[bool] = True

    name = "udp for tcp"
    seen = "web reaches Redis, and MariaDB is refused, though there is a rule for its port"
    roots = frozenset({"forward-rule-wrong-protocol"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The gateway refuses what is for itself."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Rewrite the rules where they stand, as the gateway would have made them of a wrong entry."""
        gateway = deployment.wireguard_services
        for rule in mutations.rules_naming(gateway, deployment.plan.mariadb_port):
            mutations.replace_rule(undo, gateway, rule, rule.specification.replace("-p tcp -m tcp ", "-p udp -m udp "))


CASES: tuple[Fault, ...] = (WrongForwardProtocol(),)
