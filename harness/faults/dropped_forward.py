"""A rule drops what is forwarded to MariaDB."""

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
class DroppedForward(Fault):
    """The first rule of FORWARD drops MariaDB's packets, before the one that would let them pass."""

    anywhere: ClassVar[bool] = True

    name = "FORWARD drops MariaDB's packets"
    seen = "web reaches Redis, and MariaDB times out, also on connections that were open"
    roots = frozenset({"forward-dropped"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """What is dropped is not answered."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Insert the rule."""
        plan = deployment.plan
        dropped = f"-d {plan.mariadb}/32 -i {INTERFACE} -p tcp -m tcp --dport {plan.mariadb_port} -j DROP"
        mutations.insert_rule(undo, deployment.wireguard_services, "filter", "FORWARD", dropped)


CASES: tuple[Fault, ...] = (DroppedForward(),)
