"""Something flushed the nat table of services' gateway, such as a firewall that was reloaded."""

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
class FlushedRules(Fault):
    """All rules of the nat table are gone, those of Docker's name server among them."""

    anywhere: ClassVar[bool] = True

    name = "NAT rules flushed at run time"
    seen = "open connections go on, and each new one of web's is refused"
    roots = frozenset({"forward-rule-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The gateway refuses what is for itself."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Flush the table."""
        mutations.flush_table(undo, deployment.wireguard_services, "nat")


CASES: tuple[Fault, ...] = (FlushedRules(),)
