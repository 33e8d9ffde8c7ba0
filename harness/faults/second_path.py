"""Web's gateway is attached to services-net as well: web has a way to the backends that is not the tunnel."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from docker.errors import APIError

from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.tcp import TcpConnect


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPath(Fault):
    """`docker network connect`: everything goes on working, and some of it in the clear."""

    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # networks of two servers' engines never meet

    name = "a second path from web to services-net"
    seen = "all is well; web also reaches the backends by their own addresses, unencrypted"
    roots = frozenset({"tunnel-bypassed"})

    def symptom(self, deployment: Deployment) -> Symptom:
        """What nobody on web's side should reach answers."""
        probe = TcpConnect("web", str(deployment.plan.mariadb), deployment.plan.mariadb_port)
        return Symptom(probe=probe, outcomes=(Outcome.CONNECTED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Attach web's gateway to services-net."""
        client = deployment.engine.client
        (network,) = client.networks.list(names=[f"{deployment.plan.project}_services-net"])
        gateway = deployment.wireguard_web.name

        def detach() -> None:
            try:
                network.disconnect(gateway)
            except APIError as error:
                if "is not connected" not in str(error):
                    raise

        undo.callback(detach)
        network.connect(gateway)


CASES: tuple[Fault, ...] = (SecondPath(),)
