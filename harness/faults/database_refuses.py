"""The database's machine is there and refuses MariaDB's port."""

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
class DatabaseRefuses(Fault):
    """As where MariaDB was stopped on bare metal, or listens on loopback only: the machine itself answers."""

    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # elsewhere MariaDB is a container, and looked into

    name = "the database's machine refuses 3306"
    seen = "web and services say that the database refuses their connections"
    roots = frozenset({"backend-not-listening"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The machine is there and its port is not."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Have its kernel answer as it does for a port on which nobody listens."""
        refused = f"-p tcp -m tcp --dport {deployment.plan.mariadb_port} -j REJECT --reject-with tcp-reset"
        mutations.insert_rule_from_outside(deployment, undo, deployment.mariadb, "filter", "INPUT", refused)


CASES: tuple[Fault, ...] = (DatabaseRefuses(),)
