"""An application is attached to a second network, which leads to nobody else."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from docker.errors import APIError

from harness.deployment import Deployment
from harness.faults import Fault
from harness.workbench import Workbench


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondNetwork(Fault):
    """Services on a network of some monitoring, say; it keeps its place on services-net."""

    benign: ClassVar[bool] = True

    name = "a second network on an app"
    seen = "nothing"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Attach services to a network that is made for it; the undo detaches it and removes the network."""
        engine = deployment.host("services").engine
        made = undo.enter_context(Workbench(deployment, engine).network())
        (network,) = engine.client.networks.list(names=[made])
        services = deployment.services.name

        def detach() -> None:
            try:
                network.disconnect(services)
            except APIError as error:
                if "is not connected" not in str(error):
                    raise

        undo.callback(detach)
        network.connect(services)


CASES: tuple[Fault, ...] = (SecondNetwork(),)
