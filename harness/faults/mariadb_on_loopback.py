"""MariaDB listens where only its own container can reach it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class MariaDBOnLoopback(Fault):
    """`bind-address=127.0.0.1`, as Debian's own configuration has it; it cannot be changed while MariaDB runs."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # in production MariaDB runs on bare metal

    name = "MariaDB listens on loopback only"
    seen = "MariaDB refuses every connection, while its own health check passes"
    roots = frozenset({"backend-not-listening"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The host is there and its port is not."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create MariaDB anew with one option more."""
        command = deployment.configuration()["services"]["mariadb"]["command"]
        overlay = {"services": {"mariadb": {"command": [*command, "--bind-address=127.0.0.1"]}}}
        recreation.redeploy(deployment, undo, overlay, "mariadb")
        disruptions.settle(deployment.mariadb)  # until it listens, it refuses for another reason


CASES: tuple[Fault, ...] = (MariaDBOnLoopback(),)
