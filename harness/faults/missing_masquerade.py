"""What is forwarded to MariaDB keeps its tunnel address as its source, and MariaDB has no way to that."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingMasquerade(Fault):
    """MariaDB's MASQUERADE rule is gone, or names the wrong interface and so never matches."""

    misplaced: bool

    seen = "web reaches Redis, and MariaDB times out, though its packets arrive there"
    roots = frozenset({"return-path-missing"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return "MASQUERADE on the wrong interface" if self.misplaced else "no MASQUERADE"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The answers go elsewhere."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change that one rule, and keep the answers, which find no gateway, on this machine."""
        gateway = deployment.wireguard_services
        mutations.contain_answers(deployment, undo, deployment.mariadb)
        for rule in mutations.rules_naming(gateway, deployment.plan.mariadb_port):
            if (rule.table, rule.chain) != ("nat", "POSTROUTING"):
                continue
            if self.misplaced:
                right = rule.specification.partition("-o ")[2].split()[0]
                wrong = mutations.another_interface(gateway, right)
                specification = rule.specification.replace(f"-o {right} ", f"-o {wrong} ")
                mutations.replace_rule(undo, gateway, rule, specification)
            else:
                mutations.delete_rule(undo, gateway, rule)


CASES: tuple[Fault, ...] = (MissingMasquerade(misplaced=False), MissingMasquerade(misplaced=True))
