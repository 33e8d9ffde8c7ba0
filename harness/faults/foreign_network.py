"""Another Docker network has the subnet that services-net is to have, so nothing of the deployment comes up."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from docker.types import IPAMConfig, IPAMPool

from harness import sibling
from harness.deployment import Deployment
from harness.faults import Fault, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignNetwork(Fault):
    """A network of no compose project lies on a deployment's services-net before that is brought up."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # it takes a second deployment on the same engine

    name = "another docker network owns the subnet"
    seen = "`docker compose up` ends with `Pool overlaps with other one on this address space`"
    roots = frozenset({"subnet-overlap"})

    def unavailable(self, deployment: Deployment) -> str | None:
        """It needs a plan of its own."""
        return sibling.taken(deployment)

    def apply(self, deployment: Deployment, undo: ExitStack) -> Deployment:
        """Make the network; of its sibling, the deployment that cannot come up, nothing runs."""
        client = deployment.engine.client
        beside = sibling.prepare(deployment, undo)
        name = f"wireguard-harness-foreign-{beside.plan.index}"

        def remove() -> None:
            for network in client.networks.list(names=[name]):
                network.remove()

        undo.callback(remove)
        client.networks.create(
            name,
            driver="bridge",
            internal=True,  # nothing leaves by it
            labels=deployment.run.labels(),
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(beside.plan.services_net))]),
        )
        return beside


CASES: tuple[Fault, ...] = (ForeignNetwork(),)
