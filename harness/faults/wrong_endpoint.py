"""Web sends to where services' gateway is not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_NOBODY = 99
"""An address of tunnel-net that no container has: fixed ones are below 10, Docker's own choice is above 127."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongEndpoint(Fault):
    """The endpoint's `part` is wrong."""

    anywhere: ClassVar[bool] = True

    part: str

    seen = "web sends and receives 0 B, services receives nothing; whatever web asks for times out"
    roots = frozenset({"endpoint-wrong"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return f"wrong endpoint {self.part}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Give web another endpoint, and have services forget where web is."""
        web, services = deployment.gateways
        right = web.peer().endpoint
        wrong = {
            "address": f"{deployment.plan.tunnel_net[_NOBODY]}:{deployment.plan.wireguard_port}",
            "port": f"{deployment.plan.underlay_services}:{deployment.plan.wireguard_port + 1}",
        }[self.part]
        mutations.keep_tunnel(deployment, undo)
        mutations.add_peer_again(web, f"Endpoint = {right}", f"Endpoint = {wrong}")
        mutations.forget_endpoint(services)


CASES: tuple[Fault, ...] = (WrongEndpoint(part="address"), WrongEndpoint(part="port"))
