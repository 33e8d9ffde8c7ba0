"""The application is started on a network of its own, outside its gateway's namespace."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.tcp import TcpConnect
from harness.workbench import Workbench

_NETWORK = "astray"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOnOwnNetwork(Fault):
    """Web without `network_mode`: a container like any other, which knows of no tunnel."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "web is on a network of its own"
    seen = "web's page cannot be reached, and web itself finds no network that leads to 10.100.0.11"
    roots = frozenset({"app-outside-gateway"})

    def symptom(self, deployment: Deployment) -> Symptom:
        """From where web is no route leads into the tunnel."""
        probe = TcpConnect("web", str(deployment.plan.tunnel_services.ip), deployment.plan.mariadb_port)
        return Symptom(probe=probe, outcomes=(Outcome.UNREACHABLE,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web anew on a network that leads nowhere.

        On any other one what web sends to 10.100.0.11 would leave by the host's default route.
        """
        overlay = f"""
            services:
              web:
                network_mode: !reset null
                networks: !override [{_NETWORK}]
            networks:
              {_NETWORK}:
                internal: true
                labels: {json.dumps(deployment.run.labels())}
                ipam: {{config: [{{subnet: {Workbench(deployment).subnet}}}]}}
        """
        undo.callback(_remove_network, deployment)
        recreation.redeploy(deployment, undo, overlay, "web")


def _remove_network(deployment: Deployment) -> None:
    name = f"{deployment.project('web').project}_{_NETWORK}"
    for network in deployment.host("web").engine.client.networks.list(names=[name]):
        network.remove()


CASES: tuple[Fault, ...] = (AppOnOwnNetwork(),)
