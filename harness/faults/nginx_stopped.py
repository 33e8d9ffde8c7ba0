"""nginx does not run: the public has no way in, though everything behind it is well."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.probes.served import NOT_SERVED
from harness.probes.tcp import TcpConnect

_STOP_GRACE = 5  # seconds, as in the compose file
_NGINX, _HTTPS = 12, 8443  # where nginx is on its server's network, by the compose file


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxStopped(Fault):
    """`docker stop nginx`, which also `restart: unless-stopped` respects."""

    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # dev has no nginx

    name = "nginx is stopped"
    seen = "nobody answers any more at the public port"
    roots = frozenset({"container-down"})

    def symptom(self, deployment: Deployment) -> Symptom:
        """Its clients find nobody."""
        probe = TcpConnect("probe-web", str(deployment.plan.services_net[_NGINX]), _HTTPS)
        return Symptom(probe=probe, outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Stop the container."""
        nginx = deployment.node("nginx")
        undo.callback(nginx.container.start)
        nginx.container.stop(timeout=_STOP_GRACE)


CASES: tuple[Fault, ...] = (NginxStopped(),)
