"""The database password is changed on the server, and nobody is told."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePasswordChanged(Fault):
    """What is connected stays so; every new login is denied, on both sides of the tunnel."""

    anywhere: ClassVar[bool] = True

    name = "database password changed on the server"
    seen = "web and services say that the database denies their login"
    roots = frozenset({"credentials-rejected"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The password that everybody holds is the wrong one."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.DENIED,))

    def unavailable(self, deployment: Deployment) -> str | None:
        """It takes MariaDB's root."""
        return disruptions.rootless(deployment)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Give the applications' user another password; the undo gives it back the one that it had."""
        account = disruptions.database_account(deployment)
        # It says `IDENTIFIED BY PASSWORD` and the hash, so the password itself need not be known.
        created = disruptions.sql(deployment, f"SHOW CREATE USER {account}")
        undo.callback(disruptions.sql, deployment, created.replace("CREATE USER", "ALTER USER", 1))
        disruptions.sql(deployment, f"ALTER USER {account} IDENTIFIED BY '{secrets.token_urlsafe()}'")


CASES: tuple[Fault, ...] = (DatabasePasswordChanged(),)
