"""MariaDB answers everybody and takes no writes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseReadOnly(Fault):
    """`SET GLOBAL read_only = 1`, as on a replica, or on a server that was made one and never the primary again."""

    name = "MariaDB is read-only"
    seen = "pages that only read work, every write fails, and /health/ says that the database answers"
    roots = frozenset({"backend-read-only"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """MariaDB's error 1290."""
        return Symptom(probe=MariaDBWrite("web"), outcomes=(Outcome.DENIED,))

    def unavailable(self, deployment: Deployment) -> str | None:
        """It takes MariaDB's root."""
        return disruptions.rootless(deployment)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Set it; the undo sets what was there."""
        was = disruptions.sql(deployment, "SELECT @@global.read_only").strip()
        undo.callback(disruptions.sql, deployment, f"SET GLOBAL read_only = {was}")
        disruptions.sql(deployment, "SET GLOBAL read_only = 1")


CASES: tuple[Fault, ...] = (DatabaseReadOnly(),)
