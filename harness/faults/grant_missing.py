"""The applications' user may log in and not use the database."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantMissing(Fault):
    """Its rights to the database are revoked."""

    anywhere: ClassVar[bool] = True

    name = "missing grant"
    seen = "web and services say that access to the database is denied, though the password is right"
    roots = frozenset({"grant-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """MariaDB's error 1044, after the login."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.DENIED,))

    def unavailable(self, deployment: Deployment) -> str | None:
        """It takes MariaDB's root."""
        return disruptions.rootless(deployment)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Revoke each grant that names a database; the undo makes those very grants again.

        The one that remains, `USAGE ON *.*`, is the right to log in.
        """
        account = disruptions.database_account(deployment)
        shown = disruptions.sql(deployment, f"SHOW GRANTS FOR {account}").splitlines()
        grants = [grant for grant in shown if " ON *.* TO " not in grant]
        revocations = [grant.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ", 1) for grant in grants]
        undo.callback(disruptions.sql, deployment, ";\n".join(grants))
        disruptions.sql(deployment, ";\n".join(revocations))


CASES: tuple[Fault, ...] = (GrantMissing(),)
