"""MariaDB came back on another address than everybody was told."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.recreation import redeploy

_NO_FIXED_ADDRESS = "services: {mariadb: {networks: {services-net: !override {}}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedBackend(Fault):
    """MariaDB has no fixed address, and Docker chose one."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # in production MariaDB runs on bare metal

    name = "MariaDB came back on another address"
    seen = "MariaDB is healthy, and neither web nor services can connect to it"
    roots = frozenset({"backend-address-moved"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the address to which the gateway forwards."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create MariaDB anew without its fixed address; its data stay in their volume."""
        redeploy(deployment, undo, _NO_FIXED_ADDRESS, "mariadb")
        disruptions.settle(deployment.mariadb)


CASES: tuple[Fault, ...] = (MovedBackend(),)
