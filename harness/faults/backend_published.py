"""A backend's port is published on every address of the host."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendPublished(Fault):
    """`ports: ["3306:3306"]`, which Docker opens past the host's own firewall."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # in production MariaDB runs on bare metal

    name = "MariaDB published on 0.0.0.0"
    seen = "all is well, for everybody who can reach the host"
    roots = frozenset({"port-exposed"})

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create MariaDB anew with its port published, on whichever port of the host Docker finds free."""
        overlay = {"services": {"mariadb": {"ports": [f"0.0.0.0::{deployment.plan.mariadb_port}"]}}}
        recreation.redeploy(deployment, undo, overlay, "mariadb")
        disruptions.settle(deployment.mariadb)


CASES: tuple[Fault, ...] = (BackendPublished(),)
