"""WG_SERVICES_ENDPOINT on the web server names another machine, or another port."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import Variables
from harness.probes.mariadb import MariaDBQuery

_NOBODY = 99
"""An address of the underlay that no server has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettingWrong(Fault):
    """The web server was deployed with an endpoint that was mistyped."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # in dev the compose file itself has the endpoint

    name = "wrong WG_SERVICES_ENDPOINT"
    seen = "web's gateway runs and has never shaken hands; whatever web asks for times out"
    roots = frozenset({"endpoint-wrong"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web's gateway anew with it; what shares its namespace moves along."""
        wrong = f"{deployment.plan.tunnel_net[_NOBODY]}:{deployment.plan.wireguard_port}"
        overlay = Variables({"wireguard-web": {"WG_PEER_ENDPOINT": wrong}})
        recreation.redeploy(deployment, undo, overlay, "wireguard-web")
        web, services = deployment.gateways
        mutations.add_peer_again(web, f"Endpoint = {web.peer().endpoint}", f"Endpoint = {wrong}")
        mutations.forget_endpoint(services)


CASES: tuple[Fault, ...] = (EndpointSettingWrong(),)
