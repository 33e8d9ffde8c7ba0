"""Web holds a database password that is not the server's."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import credentials, mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import SecretFile
from harness.probes.health import HealthVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongDatabasePassword(Fault):
    """Another secret file for web alone, as where the two servers' vaults have come to differ."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "wrong database password"
    seen = "web says that the database denies its login, while services is well"
    roots = frozenset({"credentials-rejected"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Web's own words; nobody else has that password."""
        return Symptom(probe=HealthVerdict("web", "database"), outcomes=(Outcome.DENIED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web anew with another file in the place of the secret."""
        file = mutations.secret_file(
            deployment, undo, "web", "wrong_db_password", secrets.token_urlsafe(), credentials.uid()
        )
        overlay = SecretFile(credentials.DB_PASSWORD, file)
        recreation.redeploy(deployment, undo, overlay, "web")


CASES: tuple[Fault, ...] = (WrongDatabasePassword(),)
