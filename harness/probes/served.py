"""Whether anybody is served by a service: the connection that its clients make."""

from __future__ import annotations

from dataclasses import dataclass

from harness.deployment import Deployment
from harness.model import Observation, Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.probes.tcp import TcpConnect

NOT_SERVED = (Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.UNREACHABLE)
"""What a client meets where nobody listens, where a host does not answer, and where none is left."""


@dataclass(frozen=True, slots=True)
class Served:
    """Do as a client of `service` does: fetch a page, or ask a backend through the tunnel that a gateway is for."""

    service: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        match self.service:
            case "web":
                # From beside it: that it is reached from outside is its gateway's business.
                return TcpConnect("probe-web", "127.0.0.1", deployment.plan.web_listen).observe(deployment)
            case "services":
                return TcpConnect("celery", str(deployment.plan.services), deployment.plan.services_listen).observe(
                    deployment
                )
            case "redis":
                return RedisPing("web").observe(deployment)
            case _:
                return MariaDBQuery("web").observe(deployment)
